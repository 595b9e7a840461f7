// SPDX-License-Identifier: Apache-2.0
// How fast checkpoints are here, beside what memory and storage do with the same bytes in the same run.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "trainer/training_run.h"

namespace pathline::trainer {

struct CheckpointBenchmark {
  RunRequest request;  // without a recipe: a perceptron with as much state as `bytes`
  std::int64_t bytes = 2'000'000'000;
  std::string directory = ".";  // each rank writes below it and removes what it wrote
  std::int64_t rounds = 5;
  std::int64_t steps = 3;  // alone and beside writing, in each round
};

struct CheckpointTimes {
  std::map<std::string, std::vector<double>> seconds;  // what was done -> of every round, the slowest rank's
  std::int64_t bytes_per_rank = 0, ranks = 0, threads = 0;

  double median(const std::string& what) const;
  bool has(const std::string& what) const { return seconds.contains(what); }
};

/// What is measured, in this order in every round.
namespace timed {
inline constexpr char kCopy[] = "copy_in_memory";
inline constexpr char kBlocked[] = "save_blocks_training";
inline constexpr char kWriteBuffered[] = "write_buffered_fsync";
inline constexpr char kWriteDirect[] = "write_o_direct_fsync";  // missing where storage refuses it
inline constexpr char kCommitted[] = "save_until_committed";
inline constexpr char kReadCold[] = "read_cold";
inline constexpr char kReadDirect[] = "read_o_direct";  // likewise
inline constexpr char kLoadCold[] = "load_verified_cold";
inline constexpr char kReadWarm[] = "read_warm";
inline constexpr char kLoadWarm[] = "load_verified_warm";
inline constexpr char kStep[] = "step_alone";                            // median step of the round
inline constexpr char kStepBeside[] = "step_beside_writing";             // checkpoints, without a pause between them
inline constexpr char kStepBesidePlain[] = "step_beside_plain_writing";  // in the fastest plain way: what storage costs
}  // namespace timed

/// All ranks, each on its own part of the state and with files of its own.
CheckpointTimes benchmark_checkpoint(const CheckpointBenchmark& benchmark, cluster::Communicator& ranks);

}  // namespace pathline::trainer
