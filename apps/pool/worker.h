// SPDX-License-Identifier: Apache-2.0
// The life of a worker: leases until it is told to stop.
#pragma once

#include <cstdint>
#include <string>

#include "sampler/pool/connection.h"

namespace pathline::apps {

struct WorkerOptions {
  pool::ConnectOptions connect;
  std::string name;             // for people; empty: host and process
  std::int64_t threads = 0;     // 0: all cores, or 1 under a launcher
  std::string device = "auto";  // auto | cpu | cuda
  bool cuda_graph = true;
  std::int64_t models = 3;     // kept loaded
  double exit_when_idle = -1;  // seconds without work; negative: never
  double patience = 600;       // seconds without a dispatcher
};

/// Returns the exit code: 64 when asked to stop, 0 when idle for so long.
int run_worker(const WorkerOptions& options);

}  // namespace pathline::apps
