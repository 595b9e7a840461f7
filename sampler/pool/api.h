// SPDX-License-Identifier: Apache-2.0
// The pool over HTTP: which request means what (docs/pool.md). No sockets.
#pragma once

#include <string>

#include "sampler/pool/dispatcher.h"
#include "sampler/pool/http_server.h"

namespace pathline::pool {

class Api {
 public:
  /// `dispatcher` must outlive it. Nobody is answered without `token`, but for GET /healthz.
  Api(Dispatcher& dispatcher, std::string token) : dispatcher_(dispatcher), token_(std::move(token)) {}

  /// Never throws: every error is an answer.
  Response handle(const Request& request);

 private:
  bool allowed(const Request& request, const std::string& path, const std::string& query) const;
  Response answer(const Request& request);

  Dispatcher& dispatcher_;
  std::string token_;
};

/// Figures of the pool in the text format of Prometheus, version 0.0.4.
std::string metrics_text(Dispatcher& dispatcher);

/// The page at "/": one HTML file without anything from elsewhere.
extern const char kPage[];

}  // namespace pathline::pool
