// SPDX-License-Identifier: Apache-2.0
#include "trainer/training_run.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "cluster/agree.h"
#include "cluster/control_word.h"
#include "core/log.h"
#include "core/progress.h"
#include "model/flops.h"
#include "trainer/checkpoint_bridge.h"
#include "trainer/dataset.h"
#include "trainer/peak_rate.h"
#include "trainer/preview.h"
#include "trainer/run_directory.h"
#include "trainer/run_setup.h"
#include "trainer/telemetry.h"
#include "trainer/training_step.h"
#include "trainer/validation.h"

namespace pathline::trainer {
namespace {

constexpr int kSkipsBeforeGivingUp = 5;  // steps in a row that were not finite
constexpr double kPeakSeconds = 0.1;    // for measuring what processors can do, once a start

class TrainingRun {
 public:
  TrainingRun(const RunRequest& request, cluster::Communicator& ranks)
      : request_(request),
        ranks_(ranks),
        setup_(prepare_run(request, files_, ranks)),
        dataset_(*setup_.dataset),
        model_(*setup_.model),
        objective_(make_objective(recipe().flow, seed())),
        state_(*setup_.state),
        step_(recipe(), *objective_, model_, state_, dataset_.info(), ranks, here()),
        control_(ranks),
        loader_(dataset_.source(), dataset_.order(), loader_options()),
        telemetry_(setup_.directory->path(), recipe().log.prometheus, static_cast<std::int64_t>(setup_.progress.step),
                   recipe().train.steps, ranks),
        flops_a_sample_(model::training_flops(model_.options()).total()),
        peak_(peak_of_ranks(recipe().train.precision, model_.parameters().front().tensor.device(), "", ranks,
                            kPeakSeconds)),
        saved_step_(setup_.resumed_from.empty() ? -1 : static_cast<std::int64_t>(setup_.progress.step)) {}

  core::ExitCode operator()() {
    report_start();
    while (static_cast<std::int64_t>(progress().step) < recipe().train.steps) {
      const std::uint64_t asked = control_.collect().value_or(0);
      if (asked & cluster::kStop) return stop();
      if (asked & cluster::kCheckpoint) save();
      control_.publish(own_flags());
      take_step();
      after_step();
    }
    finish();
    return core::ExitCode::kFinished;
  }

 private:
  const Recipe& recipe() const { return setup_.recipe; }
  checkpoint::State& progress() { return setup_.progress; }
  cluster::Whereabouts& here() { return setup_.watchdog->here(); }
  void enter(cluster::Phase phase) { here().enter(phase, static_cast<std::int64_t>(progress().step)); }
  std::uint64_t seed() const { return static_cast<std::uint64_t>(setup_.recipe.run.seed); }

  data::LoaderOptions loader_options() const {
    const auto own = own_samples(setup_.recipe.train, ranks_);
    data::LoaderOptions options;
    options.batch = setup_.recipe.train.batch;
    options.first = own.first;
    options.last = own.last;
    options.start = setup_.progress.position;
    options.flip = setup_.recipe.data.flip;
    options.seed = seed();
    options.threads = static_cast<int>(setup_.recipe.data.loader_threads);
    options.depth = static_cast<int>(setup_.recipe.data.loader_depth);
    return options;
  }

  /// Rank 0's clock decides for all, through the control word.
  std::uint64_t own_flags() {
    const Requests requests = request_.requests();
    const double minutes = recipe().checkpoint.every_minutes;
    const bool due = ranks_.rank() == 0 && minutes > 0 && core::monotonic_seconds() - saved_at_ > minutes * 60;
    return (requests.stop ? cluster::kStop : 0) | (requests.checkpoint || due ? cluster::kCheckpoint : 0);
  }

  void take_step() {
    here().enter(cluster::Phase::kData, static_cast<std::int64_t>(progress().step) + 1);
    data::Batch batch = loader_.next();
    last_ = step_(batch, static_cast<std::int64_t>(progress().optimizer_step));
    waited_ += batch.waited_seconds;
    if (last_.skipped) note_skip();
    else note_update();
    progress().step += 1;
    progress().position += static_cast<std::uint64_t>(recipe().train.batch);
  }

  void note_update() {
    progress().optimizer_step += 1;
    progress().skips_in_a_row = 0;
  }

  void note_skip() {
    progress().skipped_windows.push_back(progress().position);
    progress().skips_in_a_row += 1;
    const auto text = core::concat("step ", progress().step + 1, ": loss ", last_.loss, ", gradient norm ",
                                   last_.gradient_norm, ": not finite; the step on positions ", progress().position, " to ",
                                   progress().position + static_cast<std::uint64_t>(recipe().train.batch) - 1, " is skipped");
    if (ranks_.rank() == 0) core::log_warning(text);
    telemetry_.note("skip", progress().step + 1, {{"text", text}});
    if (progress().skips_in_a_row < kSkipsBeforeGivingUp) return;
    throw cluster::AgreedError(
        core::ExitCode::kNumerical,
        core::concat(text, ", as were the ", kSkipsBeforeGivingUp - 1, " before (training has diverged). ",
                     "Resume from an earlier checkpoint with a lower optimizer.lr or train.clip."));
  }

  void after_step() {
    enter(cluster::Phase::kReport);
    const auto step = static_cast<std::int64_t>(progress().step);
    const auto due = [step](std::int64_t every) { return every > 0 && step % every == 0; };
    if (due(recipe().log.every_steps)) report_step();
    if (due(recipe().log.validate_every_steps)) validate();
    if (due(recipe().checkpoint.every_steps)) save();
    if (due(recipe().sample.every_steps)) preview();
  }

  void report_start() {
    const auto own = own_samples(recipe().train, ranks_);
    here().set_work(static_cast<double>(own.last - own.first));
    saved_at_ = window_started_ = core::monotonic_seconds();
    window_step_ = progress().step;
    if (ranks_.rank() == 0) core::log_info(describe_run(setup_, ranks_));
    telemetry_.note("start", progress().step,
                    {{"resumed_from", setup_.resumed_from}, {"ranks", std::to_string(ranks_.size())},
                     {"kernel_fingerprint", progress().kernel_fingerprint}});
  }

  void report_step() {
    const double seconds = core::monotonic_seconds() - window_started_;
    const double samples = static_cast<double>(progress().step - window_step_) * static_cast<double>(recipe().train.batch);
    std::vector<double> over_ranks = {waited_, peak_memory_bytes()};
    ranks_.all_reduce(over_ranks, cluster::Reduction::kMax);
    const double rate = samples / std::max(seconds, 1e-9), waited = over_ranks[0] / std::max(seconds, 1e-9);
    telemetry_.report("train", progress().step,
                      {{"loss", last_.loss}, {"gradient_norm", last_.gradient_norm}, {"lr", last_.learning_rate},
                       {"position", static_cast<double>(progress().position)}, {"samples_per_second", rate},
                       {"model_flops_per_second", rate * flops_a_sample_}, {"peak_flops_per_second", peak_},
                       {"peak_share", rate * flops_a_sample_ / peak_},
                       {"data_wait_share", waited}, {"compute_seconds", last_.compute_seconds},
                       {"reduce_seconds", last_.reduce_seconds}, {"update_seconds", last_.update_seconds},
                       {"peak_memory_bytes", over_ranks[1]}});
    telemetry_.progress(static_cast<std::int64_t>(progress().step), progress_line(rate, waited));
    start_window();
  }

  std::string progress_line(double rate, double waited) const {
    char text[128];
    const double flops = rate * flops_a_sample_;
    std::snprintf(text, sizeof(text), "loss %.4f, %.0f samples/s, %s (%.0f %% of peak), data wait %.1f %%", last_.loss, rate,
                  human_flops_rate(flops).c_str(), 100 * flops / peak_, 100 * waited);
    return text;
  }

  /// The rate counts training alone: validation, previews and saves start a new window.
  void start_window() {
    window_started_ = core::monotonic_seconds();
    window_step_ = progress().step;
    waited_ = 0;
  }

  void validate() {
    if (dataset_.validation_count() == 0 || validated_step_ == progress().step) return;
    validated_step_ = progress().step;
    enter(cluster::Phase::kValidate);
    const std::int64_t chunk = recipe().train.batch / recipe().train.slices;
    auto values = as_metrics(held_out_loss(dataset_, model_, seed(), chunk, ranks_), "");
    if (!recipe().ema.decays.empty()) {
      const ShardedState::AverageInPlace average(state_, 0, ranks_);
      values.merge(as_metrics(held_out_loss(dataset_, model_, seed(), chunk, ranks_), "ema_"));
    }
    progress().metrics["held_out_loss"] = values["loss"];
    telemetry_.report("validation", progress().step, values);
    start_window();
  }

  void preview() {
    enter(cluster::Phase::kPreview);
    std::optional<ShardedState::AverageInPlace> average;
    if (!recipe().ema.decays.empty()) average.emplace(state_, 0, ranks_);
    const std::string path = core::concat(setup_.directory->samples(), "/step-", progress().step, ".png");
    write_preview(model_, dataset_.info(), recipe(), path, ranks_);
    start_window();
  }

  void save() {
    if (saved_step_ == static_cast<std::int64_t>(progress().step)) return;
    if (recipe().log.validate_every_steps == 0) validate();
    write_checkpoint();
  }

  void write_checkpoint() {
    if (saved_step_ == static_cast<std::int64_t>(progress().step)) return;
    enter(cluster::Phase::kCheckpoint);
    progress().metrics["loss"] = last_.loss;
    const double started = core::monotonic_seconds();
    try {
      checkpoint::save(files_, setup_.directory->checkpoints(), progress(),
                       tensor_records(state_, model_.parameters(), model_.buffers()),
                       own_segments(state_, model_.buffers(), ranks_.rank()), setup_.directory->attempt(),
                       collectives(ranks_), [this] { return setup_.directory->still_ours(); });
    } catch (const core::Error& error) {  // save() throws the same on all ranks
      throw cluster::AgreedError(error.code(), error.what());
    }
    if (ranks_.rank() == 0) delete_old();
    saved_step_ = static_cast<std::int64_t>(progress().step);
    saved_at_ = core::monotonic_seconds();
    telemetry_.report("checkpoint", progress().step, {{"seconds", saved_at_ - started}});
    start_window();
  }

  void delete_old() {
    const std::string& directory = setup_.directory->checkpoints();
    std::vector<std::uint64_t> steps;
    for (const auto& listed : checkpoint::list(files_, directory)) steps.push_back(listed.step);
    const checkpoint::Retention policy{recipe().checkpoint.keep_last, recipe().checkpoint.keep_every_steps};
    for (const auto step : checkpoint::to_delete(steps, policy)) {
      checkpoint::delete_checkpoint(files_, core::concat(directory, "/step-", step));
    }
  }

  /// Who stops us may not wait for long: no validation before the checkpoint.
  core::ExitCode stop() {
    write_checkpoint();
    telemetry_.finish("stopped on request, checkpoint written");
    return core::ExitCode::kStopped;
  }

  void finish() {
    save();
    if (recipe().sample.every_steps > 0 && progress().step % static_cast<std::uint64_t>(recipe().sample.every_steps) != 0) preview();
    char text[64];
    std::snprintf(text, sizeof(text), "loss %.4f", last_.loss);
    telemetry_.finish(text);
  }

  const RunRequest& request_;
  cluster::Communicator& ranks_;
  core::PosixFileSystem files_;
  RunSetup setup_;
  Dataset& dataset_;
  model::VelocityModel& model_;
  std::unique_ptr<Objective> objective_;
  ShardedState& state_;
  TrainingStep step_;
  cluster::ControlWord control_;
  data::Loader loader_;
  Telemetry telemetry_;
  double flops_a_sample_;  // of the model, forward and backward
  double peak_;            // FLOP/s of all ranks' devices

  StepResult last_;
  double waited_ = 0;
  double saved_at_ = 0;
  double window_started_ = 0;
  std::uint64_t window_step_ = 0;
  std::int64_t saved_step_;
  std::optional<std::uint64_t> validated_step_;
};

}  // namespace

core::ExitCode run_training(const RunRequest& request, cluster::Communicator& ranks) {
  return TrainingRun(request, ranks)();
}

std::string effective_recipe(const RunRequest& request) {
  core::Config config = load_recipe(request);
  read_recipe(config);
  return config.dump();
}

}  // namespace pathline::trainer
