// SPDX-License-Identifier: Apache-2.0
// Requests to a dispatcher: one connection each, with a deadline.
#pragma once

#include <string>

#include "core/error.h"
#include "sampler/pool/access.h"

namespace pathline::pool {

struct Answer {
  int status = 0;
  std::string body;
};

/// The dispatcher cannot be reached, or does not answer in time: try again later.
class Unreachable : public core::Error {
 public:
  explicit Unreachable(const std::string& paragraph) : core::Error(core::ExitCode::kEnvironment, paragraph) {}
};

/// Any thread.
class HttpClient {
 public:
  HttpClient(Address address, std::string token, double seconds = 15);
  /// Throws Unreachable; any status is an answer.
  Answer request(const std::string& method, const std::string& target, const std::string& body = "") const;
  /// The body of an answer of 200 to 299. A 503 throws Unreachable, other statuses core::Error with the reason given:
  /// kUsage for 400 to 499.
  std::string ask(const std::string& method, const std::string& target, const std::string& body = "") const;

 private:
  Address address_;
  std::string token_;
  double seconds_;
};

/// "detail" of an application/problem+json body, or what there is of it.
std::string reason_of(const Answer& answer);

}  // namespace pathline::pool
