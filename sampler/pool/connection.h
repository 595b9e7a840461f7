// SPDX-License-Identifier: Apache-2.0
// How programs find a pool: its directory, or an address and a token file. A dispatcher that is started again may have
// another port; then the address is read again.
#pragma once

#include <functional>
#include <string>

#include "sampler/pool/http_client.h"

namespace pathline::pool {

struct ConnectOptions {
  std::string pool;        // directory with `address` and `token`
  std::string url;         // in place of POOL/address
  std::string token_file;  // in place of POOL/token
};

class Connection {
 public:
  /// Throws ExitCode::kUsage where neither says where the pool is.
  explicit Connection(ConnectOptions options);

  /// As HttpClient. Tries again for `patience` seconds while the pool is unreachable, unless `stop` says that nobody
  /// waits any more. Any thread.
  std::string ask(
      const std::string& method, const std::string& target, const std::string& body = "", double patience = 0,
      const std::function<bool()>& stop = [] { return false; });
  Answer request(
      const std::string& method, const std::string& target, const std::string& body = "", double patience = 0,
      const std::function<bool()>& stop = [] { return false; });

 private:
  HttpClient client() const;

  const ConnectOptions options_;
};

}  // namespace pathline::pool
