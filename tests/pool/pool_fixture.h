// SPDX-License-Identifier: Apache-2.0
// A pool without processes: a dispatcher on a clock that the test moves, workers that are names, storage in memory that
// can fail. The job store is a real SQLite file.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/log.h"
#include "sampler/pool/dispatcher.h"
#include "sampler/pool/paths.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::pool {

class Pool {
 public:
  Pool() {
    core::configure_log({.rank = 0, .ranks = 1, .file = "", .level = core::LogLevel::kError});
    core::make_durable_directory(disk, directory.path());
    core::make_durable_directory(disk, "/out");
    checkpoint::State state;
    state.step = 5;
    const std::vector<float> weights(4, 1.0f);
    checkpoint::save(disk, "/runs/a/checkpoints", state, {{"master", "w", {4}, "F32"}},
                     {{"master", "w", 0, 4, std::as_bytes(std::span(weights))}}, 1, {});
    start();
  }

  /// Another process takes the place of the dispatcher. `faults` are those of its storage.
  void start(const std::vector<tests::Fault>& faults = {}) {
    dispatcher.reset();
    files = std::make_unique<tests::FaultyFileSystem>(disk, faults);
    DispatcherOptions options;
    options.pool = directory.path();
    options.lease_seconds = 30;
    options.most_queued = 40;
    options.seconds = [this] { return now; };
    options.wall_seconds = [] { return 1.8e9; };
    dispatcher = std::make_unique<Dispatcher>(*files, options);
  }

  std::int64_t submit(std::int64_t count, const std::string& name = "set.h5", std::int64_t priority = 0) {
    JobSpec spec;
    spec.checkpoint = "/runs/a";
    spec.output = "/out/" + name;
    spec.count = count;
    spec.slots = 16;
    spec.priority = priority;
    return dispatcher->submit(spec);
  }

  std::string worker(const std::string& fingerprint = "cpu", std::int64_t threads = 1) {
    return dispatcher->join({"w", "host", 1, fingerprint, threads});
  }

  /// The file that a worker writes under a lease, synced.
  CommitReport write(const Lease& lease) {
    const std::string text = core::concat(lease.first, "-", lease.last);
    const auto file = disk.create(lease.path);
    file->append(std::as_bytes(std::span(text)));
    file->sync();
    file->close();
    if (!lease.assembly) disk.sync_directory(core::parent_of(lease.path));
    CommitReport report;
    report.bytes = text.size();
    report.seconds = 1;
    report.nfe = 10 * (lease.last - lease.first);
    return report;
  }

  void finish(const std::string& who, const Lease& lease) { dispatcher->commit(who, lease.token, write(lease)); }

  /// Workers that do not fail, until nothing is left to do.
  void finish_all(const std::string& who) {
    while (const auto lease = dispatcher->lease(who)) finish(who, *lease);
  }

  /// Time passes in steps of a second; `alive` send heartbeats for what they hold.
  void pass(double seconds, const std::map<std::string, std::set<std::int64_t>>& alive = {}) {
    for (double end = now + seconds; now < end;) {
      now += 1;
      for (const auto& [who, tokens] : alive) {
        std::map<std::int64_t, std::int64_t> done;
        for (const std::int64_t token : tokens) done[token] = 0;
        dispatcher->heartbeat(who, done);
      }
      dispatcher->tick();
    }
  }

  /// Every id of the job is in exactly one range, and every done range has its part.
  void expect_order(std::int64_t job) {
    std::int64_t next = dispatcher->job(job).spec.first;
    for (const RangeView& range : dispatcher->ranges(job)) {
      ASSERT_EQ(range.first, next);
      ASSERT_GT(range.last, range.first);
      next = range.last;
      if (range.state == "done") {
        ASSERT_TRUE(disk.exists(part_path(directory.path(), job, {range.first, range.last})));
      }
    }
    ASSERT_EQ(next, dispatcher->job(job).spec.first + dispatcher->job(job).spec.count);
  }

  /// In memory where that is possible: thousands of commits need not wait for a disk.
  tests::TemporaryDirectory directory{
      std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path()};
  tests::MemoryFileSystem disk;
  std::unique_ptr<tests::FaultyFileSystem> files;
  double now = 1000;
  std::unique_ptr<Dispatcher> dispatcher;
};

/// With what the dispatcher refuses it; 0 if it does not.
inline int status_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Refused& refused) {
    return refused.status();
  } catch (const core::Error& error) {
    return error.code() == core::ExitCode::kUsage ? 400 : 500;
  }
  return 0;
}

}  // namespace pathline::pool
