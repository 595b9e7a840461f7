// SPDX-License-Identifier: Apache-2.0
// A pool behind a real server on a thread of its own.
#pragma once

#include <string>
#include <thread>

#include "sampler/pool/api.h"
#include "sampler/pool/http_client.h"
#include "sampler/pool/http_server.h"
#include "tests/pool/pool_fixture.h"

namespace pathline::pool {

inline const std::string kToken = "0123456789abcdef";

class ServedPool {
 public:
  explicit ServedPool(const HttpLimits& limits = {})
      : api(*pool.dispatcher, kToken),
        server(
            {"127.0.0.1", "0"}, [this](const Request& request) { return api.handle(request); }, limits),
        thread_([this] { server.run([] {}, 0.2); }) {}
  ~ServedPool() {
    server.stop();
    thread_.join();
  }

  HttpClient client() const { return {{"127.0.0.1", std::to_string(server.port())}, kToken}; }

  Pool pool;  // not to be touched but through the server while it runs
  Api api;
  HttpServer server;

 private:
  std::thread thread_;
};

inline std::string get(const std::string& target, const std::string& more = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + kToken + "\r\n" + more + "\r\n";
}

}  // namespace pathline::pool
