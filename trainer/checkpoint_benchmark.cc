// SPDX-License-Identifier: Apache-2.0
#include "trainer/checkpoint_benchmark.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "core/machine.h"
#include "trainer/checkpoint_bridge.h"
#include "trainer/made_training.h"
#include "trainer/pace.h"
#include "trainer/plain_storage.h"
#include "trainer/run_setup.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kWarmupSteps = 2;

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Nearly all parameters are squares of `hidden`; weights, two moments and one average take 16 bytes each.
core::Config recipe_of(const CheckpointBenchmark& benchmark) {
  if (!benchmark.request.recipe.empty()) return load_recipe(benchmark.request);
  constexpr std::int64_t kSquares = 32;
  const auto hidden = static_cast<std::int64_t>(std::sqrt(static_cast<double>(benchmark.bytes) / 16 / kSquares));
  core::Config config = core::Config::from_text(
      core::concat("[model]\nname = \"MLP\"\ninput_channels = 2\nclasses = 0\ndepth = ", kSquares + 1,
                   "\nhidden = ", std::max<std::int64_t>(hidden, 1),
                   "\n[train]\nbatch = 64\nslices = 1\n[run]\nthreads = 1\n[ema]\ndecays = [0.999]\n"),
      "the benchmark's recipe");
  for (const auto& assignment : benchmark.request.sets) config.set(assignment);
  return config;
}

/// A rank's part as a checkpoint of its own: what it holds of a tensor is a tensor.
struct OwnCheckpoint {
  std::vector<checkpoint::TensorRecord> records;
  std::vector<checkpoint::SegmentBytes> segments;
  std::size_t bytes = 0;

  explicit OwnCheckpoint(const StagedState& staged) {
    for (auto segment : staged.segments()) {
      segment.name += core::concat("@", segment.offset);
      segment.offset = 0;
      records.push_back({segment.kind, segment.name, {static_cast<std::int64_t>(segment.count)}});
      segments.push_back(segment);
      bytes += segment.bytes.size();
    }
  }
};

class Benchmark {
 public:
  Benchmark(const CheckpointBenchmark& options, cluster::Communicator& ranks)
      : options_(options),
        ranks_(ranks),
        training_(cluster::together(ranks, [&] { return recipe_of(options); }), ranks),
        staged_(training_.state(), training_.model().buffers(), ranks.rank(), true),
        own_(staged_),
        memory_(std::max(own_.bytes, staged_.staging_bytes())),
        directory_(core::join_path(options.directory, core::concat("pathline-bench-", ranks.rank()))) {
    times_.bytes_per_rank = static_cast<std::int64_t>(own_.bytes);
    times_.ranks = ranks.size();
    times_.threads = training_.recipe().run.threads;
    for (std::int64_t n = 0; n < kWarmupSteps; ++n) training_.step(next_step_++);
  }
  ~Benchmark() {
    try {
      core::remove_tree(files_, directory_);
    } catch (const core::Error&) {  // an error under way says more
    }
  }
  Benchmark(const Benchmark&) = delete;
  Benchmark& operator=(const Benchmark&) = delete;

  CheckpointTimes run() {
    files_.make_directory(directory_);
    staged_.copy();
    for (std::int64_t round = 0; round < options_.rounds; ++round) {
      copy();
      write();
      read();
      step();
    }
    return times_;
  }

 private:
  /// Collective. Nothing is noted where `work` says that it does not exist here.
  template <class Work>
  void time(const char* what, const Work& work) {
    ranks_.barrier();
    const double start = core::monotonic_seconds();
    const bool done = cluster::together(ranks_, work);
    std::vector<double> seconds = {core::monotonic_seconds() - start, done ? 0.0 : 1.0};
    ranks_.all_reduce(seconds, cluster::Reduction::kMax);
    if (seconds[1] == 0) times_.seconds[what].push_back(seconds[0]);
  }

  void copy() {
    time(timed::kCopy, [&] { return copy_plainly(); });
    time(timed::kBlocked, [&] { return copy_to_staging(), true; });
  }

  /// What training waits for when it saves (BackgroundSaver::start).
  void copy_to_staging() {
    training_.state().wait_for_all_parameters();
    staged_.copy();
  }

  /// By the C library and one thread, into one block of memory; only on the processor.
  bool copy_plainly() {
    auto room = memory_.bytes();
    for (const auto& shard : training_.state().shards()) {
      for (const auto& part : shard.parts) {
        if (!part.is_cpu()) return false;
        std::memcpy(room.data(), part.const_data_ptr(), part.nbytes());
        room = room.subspan(part.nbytes());
      }
    }
    return true;
  }

  void write() {
    const std::string plain = core::join_path(directory_, "plain");
    const auto bytes = memory_.bytes();
    time(timed::kWriteBuffered, [&] { return write_plainly(plain, bytes, PageCache::kThrough); });
    clean_up();
    time(timed::kWriteDirect, [&] { return write_plainly(plain, bytes, PageCache::kPast); });
    clean_up();
    time(timed::kCommitted, [&] { return save(), true; });
  }

  void read() {
    const std::string step = core::join_path(directory_, "step-1"), file = core::join_path(step, "rank-0.safetensors");
    const auto bytes = memory_.bytes().first(own_.bytes);
    drop_from_page_cache(file);
    time(timed::kReadCold, [&] { return read_plainly(file, bytes, PageCache::kThrough); });
    time(timed::kReadDirect, [&] { return read_plainly(file, bytes, PageCache::kPast); });
    drop_from_page_cache(file);
    time(timed::kLoadCold, [&] { return load(step), true; });
    time(timed::kReadWarm, [&] { return read_plainly(file, bytes, PageCache::kThrough); });
    time(timed::kLoadWarm, [&] { return load(step), true; });
    clean_up();
  }

  void step() {
    times_.seconds[timed::kStep].push_back(median_step());
    const std::string plain = core::join_path(directory_, "plain");
    times_.seconds[timed::kStepBesidePlain].push_back(step_beside([&] {
      if (!write_plainly(plain, memory_.bytes(), PageCache::kPast))
        write_plainly(plain, memory_.bytes(), PageCache::kThrough);
    }));
    Pace pace(training_.recipe().checkpoint.write_share);
    times_.seconds[timed::kStepBeside].push_back(step_beside([&] {
      pace.begin();
      save([&] { pace.rest(); });
    }));
  }

  /// Collective. The median step while a thread does `work` again and again.
  double step_beside(const std::function<void()>& work) {
    std::atomic<bool> enough{false};
    std::exception_ptr failure;
    std::thread writer([&] {
      try {
        for (; !enough; clean_up()) work();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    const double seconds = median_step();
    enough = true;
    writer.join();
    cluster::together(ranks_, [&] {
      if (failure) std::rethrow_exception(failure);
    });
    return seconds;
  }

  double median_step() {
    std::vector<double> seconds;
    for (std::int64_t n = 0; n < options_.steps; ++n) seconds.push_back(training_.step(next_step_++).seconds);
    return median_of(seconds);
  }

  void save(const std::function<void()>& progress = [] {}) {
    checkpoint::State state;
    state.step = 1;
    checkpoint::Collectives alone;
    alone.progress = progress;
    checkpoint::save(files_, directory_, state, own_.records, own_.segments, 1, alone);
  }

  void load(const std::string& step) {
    std::vector<checkpoint::Wanted> wanted;
    auto room = memory_.bytes();
    for (const auto& segment : own_.segments) {
      wanted.push_back({segment.kind, segment.name, 0, segment.count, room.first(segment.bytes.size())});
      room = room.subspan(segment.bytes.size());
    }
    checkpoint::Reader(files_, step).read(wanted);
  }

  void clean_up() {
    for (const auto& name : files_.list(directory_)) core::remove_tree(files_, core::join_path(directory_, name));
    files_.sync_directory(directory_);
  }

  const CheckpointBenchmark& options_;
  cluster::Communicator& ranks_;
  MadeTraining training_;
  StagedState staged_;
  OwnCheckpoint own_;
  AlignedMemory memory_;
  core::PosixFileSystem files_;
  std::string directory_;
  std::int64_t next_step_ = 0;
  CheckpointTimes times_;
};

}  // namespace

double CheckpointTimes::median(const std::string& what) const { return median_of(seconds.at(what)); }

CheckpointTimes benchmark_checkpoint(const CheckpointBenchmark& benchmark, cluster::Communicator& ranks) {
  return Benchmark(benchmark, ranks).run();
}

}  // namespace pathline::trainer
