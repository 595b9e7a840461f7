// SPDX-License-Identifier: Apache-2.0
// Generation: ids in, finished samples out. Fixed-step and adaptive solvers run in the same slots: a sample that is
// done leaves and the next id takes its place. A sample's result depends on (seed, id) and on the job's slot count,
// never on its batch mates.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sampler/field.h"
#include "sampler/record.h"
#include "sampler/slot_method.h"
#include "sampler/solver_options.h"
#include "sampler/start_source.h"

namespace pathline::sampler {

struct Job;

struct Sample {
  const Job* job = nullptr;  // which asked for it
  std::int64_t id = 0;
  std::int64_t label = -1;
  at::Tensor value;           // (C, H, W) or (D), fp32, on the CPU
  std::int64_t nfe = 0;       // network forward passes: 2 where there is a guidance weight, 1 more for a classifier
  std::int64_t rejected = 0;  // rejected steps
  SampleStatus status = SampleStatus::kDone;
  Outcome outcome = Outcome::kDone;    // why it failed
  std::int64_t noise_floor_steps = 0;  // taken above the tolerance, which the network's arithmetic cannot resolve
  at::Tensor trajectory;               // (times, C, H, W) or (times, D), fp32: as Finish::trajectory
};

struct Statistics {
  std::int64_t count = 0, failed = 0;
  std::int64_t not_finite = 0, steps_too_short = 0, too_many_steps = 0;  // why samples failed
  std::int64_t at_noise_floor = 0;                                       // samples with noise_floor_steps
  std::int64_t nfe = 0, max_nfe = 0, rejected_steps = 0;
  std::int64_t useful_rows = 0, evaluated_rows = 0;  // rows that held a sample; ticks x slots
  std::int64_t queued_useful = 0, queued_rows = 0;   // the same, while there was always a next id
  double mean_nfe = 0;
  double occupancy = 0;         // useful_rows / evaluated_rows
  double queued_occupancy = 1;  // queued_useful / queued_rows
  double seconds = 0;
  double field_seconds = 0;  // of them inside the network
};

/// What two pieces of work did, one after the other.
Statistics operator+(const Statistics& a, const Statistics& b);

struct Job {
  std::vector<std::int64_t> sample_shape;  // (C, H, W) or (D)
  std::int64_t null_label = -1;            // label of "no condition"; -1: unconditional field
  std::int64_t slots = 64;
  std::uint64_t seed = 0;
  SolverOptions solver;
  Field guide;       // of autoguidance: a weaker network, see GuidedField::weaker; empty: classifier-free
  Field classifier;  // grad_x log p(label | x, t), which solver.classifier_scale multiplies; every id then has a label
  std::shared_ptr<const StartSource> source;  // of x0; null: standard normal
  /// x0 of sample `id`, in place of the source's, where it is given.
  std::function<at::Tensor(std::int64_t id)> start;
  SampleWatch watch;  // see SlotEngine::watch(); empty: nobody watches
};

/// A sample to make.
struct Request {
  const Job* job = nullptr;  // must live until the sample is out
  std::int64_t id = 0;
  std::int64_t label = -1;  // -1: none
};

/// The next one; nothing where there are no more (it is not asked again then).
using NextRequest = std::function<std::optional<Request>()>;
using NextId = std::function<std::optional<std::int64_t>()>;
/// A finished sample, and what was done so far (without `seconds` and what is derived).
using Emit = std::function<void(Sample&&, const Statistics& so_far)>;

/// May samples of both lie in one batch, where they have the same networks? Seeds, labels, weights, solvers and
/// tolerances may differ.
bool share_batch(const Job& a, const Job& b);

/// Solves every request, in the batches of `job`'s networks, which all jobs of requests share (share_batch()). The
/// start x0 of a sample is start_value() of it. `emit` gets samples in order of completion. All
/// callbacks run on the calling thread. Local: no rank talks to another. With solver.noise_schedule the field is given
/// discrete times and predicts noise. Throws ExitCode::kUsage for options that describe no solver.
Statistics generate(const Field& field, const Job& job, const NextRequest& next, const Emit& emit);

/// The same for ids of `job` alone; `label_of(id)` gives their labels (-1: none).
Statistics generate(const Field& field, const Job& job, const NextId& next,
                    const std::function<std::int64_t(std::int64_t id)>& label_of, const Emit& emit);

/// The same for every id of [first, last).
Statistics generate(const Field& field, const Job& job, std::int64_t first, std::int64_t last,
                    const std::function<std::int64_t(std::int64_t id)>& label_of,
                    const std::function<void(Sample&&)>& emit);

/// The start of sample `id`: as job.start says, else of the job's source, keyed by (seed, id).
at::Tensor start_value(const Job& job, std::int64_t id);

/// `shape`, standard normal keyed by (seed, id).
at::Tensor start_noise(std::uint64_t seed, std::int64_t id, at::IntArrayRef shape);

/// "all", "3", "0-9", "0,4,7" or a file of one label a line: the labels that ids cycle through. Throws
/// ExitCode::kUsage.
std::vector<std::int64_t> parse_labels(const std::string& text, std::int64_t classes);

}  // namespace pathline::sampler
