// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/connection.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "core/file_system.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/text.h"

namespace pathline::pool {

Connection::Connection(ConnectOptions options) : options_(std::move(options)) {
  PL_CHECK(!options_.pool.empty() || (!options_.url.empty() && !options_.token_file.empty()), core::ExitCode::kUsage,
           "it is not said where the pool is. Give --pool DIR (or set PATHLINE_POOL), or --url with --token-file.");
}

/// Storage that cannot be read just now is waited for like the dispatcher.
HttpClient Connection::client() const try {
  const std::string token =
      read_token(options_.token_file.empty() ? core::join_path(options_.pool, "token") : options_.token_file);
  if (!options_.url.empty()) return {parse_address(options_.url), token};
  core::PosixFileSystem files;
  const std::string path = core::join_path(options_.pool, "address");
  if (!files.exists(path))
    throw Unreachable(path + " does not exist: no dispatcher has been started there. `pathline pool serve` does.");
  return {parse_address(core::split(core::read_text(files, path), '\n').at(0)), token};
} catch (const Unreachable&) {
  throw;
} catch (const core::Error& error) {
  if (error.code() == core::ExitCode::kEnvironment) throw Unreachable(error.what());
  throw;
}

namespace {

template <class Ask>
auto patiently(double patience, const std::function<bool()>& stop, const Ask& ask) {
  const double start = core::monotonic_seconds();
  for (double pause = 0.1;; pause = std::min(2.0, 1.5 * pause)) {
    try {
      return ask();
    } catch (const Unreachable& error) {
      if (core::monotonic_seconds() - start > patience || stop()) throw;
      if (pause < 0.15) core::log_warning(error.what(), " Trying again for ", core::human_seconds(patience), ".");
    }
    for (double left = pause; left > 0 && !stop(); left -= 0.1)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

std::string Connection::ask(const std::string& method, const std::string& target, const std::string& body,
                            double patience, const std::function<bool()>& stop) {
  return patiently(patience, stop, [&] { return client().ask(method, target, body); });
}

Answer Connection::request(const std::string& method, const std::string& target, const std::string& body,
                           double patience, const std::function<bool()>& stop) {
  return patiently(patience, stop, [&] {
    Answer answer = client().request(method, target, body);
    if (answer.status == 503) throw Unreachable("the pool cannot do this now: " + reason_of(answer));
    return answer;
  });
}

}  // namespace pathline::pool
