// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/run.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "apps/sample/loaded_job.h"
#include "apps/sample/pin.h"
#include "apps/sample/report.h"
#include "apps/sample/row_plan.h"
#include "apps/sample/set_writer.h"
#include "cluster/agree.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text.h"
#include "launch/signals.h"
#include "sampler/make_parts.h"
#include "sampler/set_in_progress.h"
#include "sampler/set_report.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

constexpr std::int64_t kMostPartBytes = std::int64_t{64} << 20;

/// Between the job that made a complete set and the one asked for. What was left open needs no answer any more.
std::vector<std::string> differences_that_count(const SampleOptions& options, sampler::JobRecord there,
                                                sampler::JobRecord asked) {
  std::vector<std::string> open = {"kernels"};
  if (options.slots.empty() || options.slots == "auto") open.emplace_back("slots");
  if (options.threads == 0) open.emplace_back("threads");
  for (const std::string& field : open) {
    there = there.without(field);
    asked = asked.without(field);
  }
  return there.differences(asked);
}

class SampleRun {
 public:
  SampleRun(const SampleOptions& options, cluster::Communicator& world)
      : options_(with_row_count(options, world)),
        world_(world),
        root_(world.rank() == 0),
        set_(files_, options_.output, {options_.first, options_.first + options_.count}) {}

  int run() {
    if (!prepare()) return 0;
    const sampler::Statistics made = make();
    if (cluster::word_of_root(world_, stopped(made))) return static_cast<int>(ExitCode::kStopped);
    cluster::together(world_, [&] {
      if (root_) write_set(made);
    });
    return 0;
  }

 private:
  /// False where the set is there already, which has then been said.
  bool prepare() {
    Decided decided = cluster::together(world_, [&] {
      check_sample_options(options_);
      return root_ ? decide(options_, set_.parts().begun()) : Decided{};
    });
    decided = cluster::word_of_root(world_, decided);
    pin();
    at::set_num_threads(static_cast<int>(decided.threads));
    const Compute compute = choose_compute(decided.device, launch_of(options_), world_);
    cluster::together(world_, [&] {
      job_ = load_job(options_, decided, compute, [&](const std::string& path, const SampleOptions& options) {
        return load_model(files_, path, options, compute);
      });
    });
    const bool made = cluster::together(world_, [&] { return root_ && made_before(decided, compute.kernels); });
    if (cluster::word_of_root(world_, made)) return false;
    cluster::together(world_, [&] {
      if (root_ && decided.slots == 0) decided.slots = measured_slots(job_.field, job_);
    });
    decided = cluster::word_of_root(world_, decided);
    cluster::together(world_, [&] { settle(job_, decided); });
    check_same_job();
    cluster::together(world_, [&] {
      if (root_) begin();
    });
    return true;
  }

  /// All ranks load what rank 0 finds, and a job that began goes on with what it began with.
  void pin() {
    const auto begun = cluster::together(world_, [&] { return root_ ? set_.parts().begun() : std::nullopt; });
    options_ = with_pinned_steps(files_, options_, begun, world_);
  }

  /// Files of one name may differ from host to host.
  void check_same_job() {
    const std::string first = cluster::word_of_root(world_, plan_.record.text());
    cluster::together(world_, [&] {
      const auto differences = sampler::JobRecord::parse(first, "the job of rank 0").differences(plan_.record);
      PL_CHECK(differences.empty(), ExitCode::kInput, "rank ", world_.rank(),
               " would make samples of another job than rank 0: ", core::listed(differences),
               " (there: rank 0; they must not meet in one set). Give all ranks the same files, where all hosts see ",
               "them.");
    });
  }

  /// Rank 0: has an earlier start of this job made the set? Throws ExitCode::kUsage where another's would be replaced.
  /// A job with parts was asked this when it began.
  bool made_before(const Decided& decided, const std::string& kernels) {
    if (set_.parts().begun() || !files_.exists(options_.output)) return false;
    Plan asked = plan_;
    complete(asked, options_, *job_.loaded, decided, kernels);
    const std::optional<sampler::SetReport> report = sampler::read_report(files_, options_.output);
    const auto differences = report ? differences_that_count(options_, report->job, asked.record)
                                    : std::vector<std::string>{"no " + sampler::report_path(options_.output) +
                                                               " says of this very set which job made it"};
    const bool empty_folder = files_.is_directory(options_.output) && files_.list(options_.output).empty();
    if (!differences.empty()) {
      PL_CHECK(options_.overwrite || empty_folder, ExitCode::kUsage, options_.output,
               " is there, of another job: ", core::listed(differences),
               " (the set would be replaced). Replace it with --overwrite, or choose another output.");
      return false;
    }
    PL_CHECK(options_.moments.empty() || files_.exists(options_.moments), ExitCode::kUsage, options_.output,
             " is complete, but its moments ", options_.moments,
             " are gone. Take them with `pathline evaluate moments`, or remove the set to make both again.");
    set_.parts().remove_done();
    core::log_info(options_.output, " is complete: an earlier start of this job made it");
    say_result(*report, {});
    return true;
  }

  void say_result(const sampler::SetReport& report, const sampler::Statistics& made) const {
    sampler::Statistics set;
    set.count = report.count;
    set.failed = report.failed;
    set.nfe = report.nfe;
    set.max_nfe = report.max_nfe;
    set.rejected_steps = report.rejected_steps;
    check_failures(set);
    print_result(options_, set + sampler::Statistics{}, made);
  }

  /// Rank 0: the job is ours from here on, and what is missing of it is known.
  void begin() {
    sampler::make_sink(sink_options(options_, plan_));  // what cannot be written is said before the work
    const std::string beside = core::parent_of(options_.moments);
    PL_CHECK(options_.moments.empty() || files_.is_directory(beside), ExitCode::kUsage, "the directory ", beside,
             " of --moments does not exist. Make it first.");
    set_.begin(plan_.record);
    begun_ = set_.begun();
    if (begun_ > 0) core::log_info("continuing: ", begun_, " of ", options_.count, " samples are there");
  }

  sampler::Statistics make() {
    const auto identity = plan_.record.identity();
    std::int64_t item_bytes = plan_.item_shape.size() == 1 ? sizeof(float) : 1;
    for (const std::int64_t extent : plan_.item_shape) item_bytes *= extent;
    item_bytes += job_.feature_count * static_cast<std::int64_t>(sizeof(float));
    std::int64_t state_bytes = sizeof(float);
    for (const std::int64_t extent : plan_.job.sample_shape) state_bytes *= extent;
    item_bytes += state_bytes * static_cast<std::int64_t>(plan_.job.solver.trajectories.size());
    if (plan_.encoded_scale != 0) item_bytes += state_bytes;
    sampler::Dealing dealing;
    dealing.first_range = plan_.job.slots;
    dealing.most = options_.part_size > 0 ? options_.part_size : std::max<std::int64_t>(1, kMostPartBytes / item_bytes);
    core::Progress progress("sample", options_.count, "samples", root_, begun_);
    const double start = core::monotonic_seconds();
    sampler::RangeDealer dealer(world_, set_.missing(), dealing);
    sampler::Statistics mine = cluster::together(world_, [&] {
      return sampler::make_parts(job_.field, plan_.job, making(identity, dealer, progress), dealer, set_.parts());
    });
    mine.seconds = core::monotonic_seconds() - start;
    const sampler::Statistics made = sampler::summed(world_, mine);
    progress.update(begun_ + made.count, progress_detail(made));
    progress.finish(progress_detail(made));
    return made;
  }

  sampler::PartMaking making(std::uint64_t identity, sampler::RangeDealer& dealer, core::Progress& progress) {
    sampler::PartMaking making;
    making.job = identity;
    making.label_of = [this](std::int64_t id) { return plan_.condition_of(id); };
    making.record_of = [this](sampler::Sample&& sample) { return job_.record_of(std::move(sample)); };
    making.packed = [this](sampler::Record&& record) { return job_.packed(std::move(record)); };
    making.stop = [] { return launch::take_signal_requests().stop; };
    if (root_) {
      making.progress = [this, &dealer, &progress] {
        const sampler::Tally tally = dealer.total();
        progress.update(begun_ + tally.done, progress_detail(tally));
      };
    }
    return making;
  }

  /// As rank 0 knows: true if ids are missing because a rank was asked to stop.
  bool stopped(const sampler::Statistics& made) {
    if (!root_) return false;
    if (begun_ + made.count < options_.count) {
      core::log_warning("asked to stop: ", begun_ + made.count, " of ", options_.count, " samples are in ",
                        set_.parts().directory(), "; start the same command again to go on");
      return true;
    }
    set_.wait_for_listing();
    return false;
  }

  /// Rank 0: all parts are there.
  void write_set(const sampler::Statistics& made) {
    SetWriter set(files_, job_, options_.output);
    sampler::SetReport report{plan_.record};
    const sampler::IdRange all{options_.first, options_.first + options_.count};
    set_.parts().read_all(plan_.record.identity(), all, [&](sampler::Record&& record) {
      report.count += 1;
      report.failed += record.status != sampler::SampleStatus::kDone;
      report.nfe += record.nfe;
      report.max_nfe = std::max(report.max_nfe, record.nfe);
      report.rejected_steps += record.rejected;
      set.put(std::move(record));
    });
    if (report.failed < report.count) {
      set.finish();
      sampler::save_report(files_, options_.output, report);
    }
    set_.end();
    say_trouble(made);
    say_result(report, made);
  }

  SampleOptions options_;  // with one step of every run, once pinned
  cluster::Communicator& world_;
  const bool root_;
  core::PosixFileSystem files_;
  sampler::SetInProgress set_;
  LoadedJob job_;
  const Plan& plan_ = job_.plan;
  std::int64_t begun_ = 0;  // rank 0: samples that were there
};

}  // namespace

int run_sample(const SampleOptions& options, cluster::Communicator& world) {
  core::configure_log({.rank = world.rank(), .ranks = world.size(), .file = {}, .level = core::LogLevel::kInfo});
  return SampleRun(options, world).run();
}

}  // namespace pathline::apps
