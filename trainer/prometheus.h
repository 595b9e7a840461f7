// SPDX-License-Identifier: Apache-2.0
// The latest figures of a run in the text format of Prometheus (prometheus.io/docs/instrumenting/exposition_formats,
// version 0.0.4), served over HTTP.
#pragma once

#include <map>
#include <memory>
#include <string>

namespace pathline::trainer {

/// One gauge a name, with HELP and TYPE, sorted by name: "loss" is served as pathline_loss.
std::string prometheus_text(const std::map<std::string, double>& values);

class PrometheusServer {
 public:
  /// Serves GET /metrics at "HOST:PORT" ("0.0.0.0:9400" for everybody) or "PORT" (this machine alone; 0: any free one)
  /// in a thread of its own. Throws ExitCode::kUsage for an address that is none, kEnvironment where it cannot be had.
  explicit PrometheusServer(const std::string& address);
  ~PrometheusServer();
  PrometheusServer(const PrometheusServer&) = delete;
  PrometheusServer& operator=(const PrometheusServer&) = delete;

  int port() const;
  /// What is served from now on. Returns at once, whatever clients do.
  void publish(std::string text);

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace pathline::trainer
