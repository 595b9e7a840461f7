// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/worker.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "apps/pool/assembly.h"
#include "apps/pool/range_work.h"
#include "cluster/session.h"
#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"
#include "launch/signals.h"
#include "sampler/compute_device.h"
#include "sampler/pool/worker_link.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

constexpr double kIdlePause = 1, kTroublePause = 5;

bool stop() { return launch::take_signal_requests().stop; }

void pause(double seconds) {
  for (double left = seconds; left > 0 && !stop(); left -= 0.1)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

/// Workers of a host take its GPUs in turn; they come and go, so nobody counts them.
Compute opened(const WorkerOptions& options) {
  const int devices = options.device == "cpu" ? 0 : sampler::usable_gpus();
  const int place = cluster::local_place();
  if (devices > 0 && place >= devices) {
    core::log_warning("worker ", place, " of this host shares a GPU: of ", devices,
                      " it takes every one in turn (start as many workers as GPUs)");
  }
  const sampler::DevicePlaces places{devices, devices, devices > 0 ? place % devices : 0, 1};
  const int gpu = sampler::gpu_for({options.device, "compute on the processor with --device cpu"}, places);
  return open_compute(gpu, options.cuda_graph ? sampler::Launch::kGraph : sampler::Launch::kEager);
}

pool::WorkerInfo info_of(const WorkerOptions& options, const Compute& compute) {
  pool::WorkerInfo info;
  info.host = core::host_name();
  info.pid = ::getpid();
  info.fingerprint = compute.kernels;
  info.threads = options.threads > 0 ? options.threads : cluster::usual_threads();
  info.name = options.name.empty() ? core::concat(info.host, "-", info.pid) : options.name;
  return info;
}

class Worker {
 public:
  explicit Worker(const WorkerOptions& options)
      : options_(options),
        compute_(opened(options)),
        connection_(options.connect),
        link_(connection_, info_of(options, compute_), stop, {.patience = options.patience}),
        shelf_(files_, static_cast<std::size_t>(options.models), compute_),
        ahead_(link_),
        writer_(files_, link_) {}

  int run() {
    try {
      if (!work_until_stopped()) return 0;
    } catch (const pool::Unreachable&) {
      if (!stop()) throw;  // else nobody waited for the dispatcher any more
    }
    core::log_info("asked to stop: leases go back");
    return static_cast<int>(ExitCode::kStopped);
  }

 private:
  /// False if it ends because there has been nothing to do.
  bool work_until_stopped() {
    double idle_since = core::monotonic_seconds();
    while (!stop()) {
      const auto lease = ahead_.wait();
      if (lease) {
        work_or_give_back(*lease);
        writer_.wait();
        idle_since = core::monotonic_seconds();
        if (writer_.take_trouble()) pause(kTroublePause);
        continue;
      }
      const double idle = core::monotonic_seconds() - idle_since;
      if (options_.exit_when_idle >= 0 && idle >= options_.exit_when_idle) return false;
      pause(kIdlePause);
    }
    return true;
  }

  /// Trouble that passes is waited for; a GPU that has failed stays so until the process ends.
  void work_or_give_back(const pool::Lease& lease) {
    try {
      work_on(lease);
    } catch (const pool::Unreachable&) {
      throw;
    } catch (const std::exception& error) {
      if (!is_workers_fault(error)) throw;
      link_.give_back(lease.token, error.what());
      if (core::is_gpu_fault(error)) throw core::as_error(error);
      core::log_warning("trying again: ", error.what());
      pause(kTroublePause);
    }
  }

  void work_on(const pool::Lease& lease) {
    if (lease.measure) return measure(lease);
    const auto job = prepared(lease);
    if (!job) return;
    if (lease.assembly) return put_together(*job, lease);
    const Prepare prepare = [this](const pool::Lease& other) { return prepared(other); };
    RangeWork(prepare, link_, ahead_, writer_, stop, poison_).run(job, lease);
  }

  std::shared_ptr<const PreparedJob> prepared(const pool::Lease& lease) {
    try {
      return shelf_.prepare(lease.job, lease.spec);
    } catch (const std::exception& error) {
      if (is_workers_fault(error)) {
        link_.give_back(lease.token, error.what());
        throw;
      }
      refuse_job(lease, error);
      return nullptr;
    }
  }

  void refuse_job(const pool::Lease& lease, const std::exception& error) {
    const std::string text = error.what();
    core::log_error("job ", lease.job, ": ", text);
    link_.report_error(lease.token, {text.substr(0, text.find('\n')), true, -1});
  }

  void measure(const pool::Lease& lease) {
    const auto stop_between_passes = [this] {
      link_.progress();
      return stop();
    };
    std::int64_t slots = 0;
    try {
      slots = shelf_.measure_slots(lease.job, lease.spec, stop_between_passes);
    } catch (const std::exception& error) {
      if (!stop()) {
        if (is_workers_fault(error)) throw;
        return refuse_job(lease, error);
      }
      link_.give_back(lease.token, "");
      return;
    }
    link_.set_slots(lease.token, slots);
  }

  void put_together(const PreparedJob& job, const pool::Lease& lease) {
    try {
      const auto report = assemble(files_, job, lease, [&](std::int64_t samples) {
        link_.progress(lease.token, samples);
        PL_CHECK(!stop() && !link_.lost(lease.token), ExitCode::kStopped, "interrupted");
      });
      if (!link_.commit(lease.token, report)) core::remove_tree(files_, lease.path);  // another made it
    } catch (const pool::Unreachable&) {
      throw;
    } catch (const std::exception& caught) {
      if (is_workers_fault(caught)) throw;
      const core::Error error = core::as_error(caught);
      if (error.code() == ExitCode::kStopped) {
        link_.give_back(lease.token, "");
      } else {
        link_.report_error(lease.token, {error.what(), false, -1});
      }
    }
  }

  const WorkerOptions options_;
  const Compute compute_;
  core::PosixFileSystem files_;
  pool::Connection connection_;
  pool::WorkerLink link_;
  JobShelf shelf_;
  LeaseAhead ahead_;
  PartWriter writer_;
  const Poison poison_ = Poison::from_environment();
};

}  // namespace

int run_worker(const WorkerOptions& options) {
  core::configure_log({.rank = 0, .ranks = 1, .file = "", .level = core::LogLevel::kInfo});
  PL_CHECK(options.models >= 1, ExitCode::kUsage, "--models is ", options.models, "; it must be at least 1.");
  return Worker(options).run();
}

}  // namespace pathline::apps
