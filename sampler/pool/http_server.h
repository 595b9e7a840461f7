// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 for one thread: whatever clients send, however slowly and however many, costs a bounded amount of memory and
// time. Requests of a connection are answered in order, so pipelining does no harm.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sampler/pool/access.h"

namespace pathline::pool {

struct Request {
  std::string method, target;  // "GET", "/v1/jobs?x=y"
  std::string authorization;   // that header; empty if there is none
  std::string body;
};

struct Response {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpLimits {
  std::size_t header_bytes = 16 * 1024;
  std::size_t body_bytes = 256 * 1024;
  int connections = 512;
  int requests_per_connection = 1000;
  double seconds =
      15;  // for one request to arrive, counted from its connection or the answer before; and to take an answer
};

class HttpServer {
 public:
  using Handler = std::function<Response(const Request&)>;

  /// Listens; port 0 takes any free one. `handler` must not throw. Throws ExitCode::kEnvironment where the address
  /// cannot be had.
  HttpServer(const Address& address, Handler handler, const HttpLimits& limits = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  /// Whether only this machine can reach it.
  bool loopback() const;
  int connections() const;

  /// Serves until stop(); `every_tick` is called about every `tick_seconds` between requests.
  void run(const std::function<void()>& every_tick, double tick_seconds);
  /// From within the handler or `every_tick`, or from another thread.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// An error as application/problem+json (RFC 9457).
Response problem(int status, const std::string& detail);

}  // namespace pathline::pool
