// SPDX-License-Identifier: Apache-2.0
#include "trainer/training_run.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "cluster/agree.h"
#include "cluster/control_word.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text.h"
#include "model/flops.h"
#include "sampler/prompts.h"
#include "trainer/asked.h"
#include "trainer/background_saver.h"
#include "trainer/checkpoint_schedule.h"
#include "trainer/culprits.h"
#include "trainer/data_scale.h"
#include "trainer/dataset.h"
#include "trainer/global_coupling.h"
#include "trainer/loader_options.h"
#include "trainer/peak_rate.h"
#include "trainer/preview.h"
#include "trainer/recovery.h"
#include "trainer/restart_guard.h"
#include "trainer/rollback.h"
#include "trainer/run_directory.h"
#include "trainer/run_setup.h"
#include "trainer/telemetry.h"
#include "trainer/training_step.h"
#include "trainer/validation.h"
#include "trainer/wall_time.h"

namespace pathline::trainer {
namespace {

constexpr double kPeakSeconds = 0.1;  // for measuring what processors can do, once a start

class TrainingRun {
 public:
  TrainingRun(const RunRequest& request, cluster::Communicator& ranks)
      : asked_(request.requests),
        ranks_(ranks),
        setup_(prepare_run(request, files_, ranks)),
        dataset_(*setup_.dataset),
        model_(*setup_.model),
        objective_(cluster::together(ranks, [&] { return make_objective(recipe().flow, seed(), model_); })),
        state_(*setup_.engine.state),
        step_(recipe(), *objective_, model_, state_, *setup_.engine.backend, dataset_.info(), ranks, here()),
        control_(ranks),
        saver_(files_, *setup_.directory, recipe(), state_, model_.parameters(), model_.buffers(), ranks,
               request.hurry),
        batches_(std::in_place, recipe(), conditional(), dataset_, batch_options(), ranks),
        telemetry_(setup_.directory->path(), recipe().log.prometheus, static_cast<std::int64_t>(setup_.progress.step),
                   recipe().train.steps, ranks),
        wall_time_(started_, end_of_time(started_, recipe().run.wall_minutes, cluster::process_environment(),
                                         core::monotonic_seconds(), core::wall_seconds())),
        flops_a_sample_(model::training_flops(model_.options()).total()),
        peak_(peak_of_ranks(recipe().train, device_of(model_), ranks, kPeakSeconds)),
        checkpoints_(saver_, recipe(), setup_.directory->checkpoints(), setup_.saved_step, ranks, here(), telemetry_,
                     wall_time_) {}

  core::ExitCode operator()() {
    report_start();
    try {
      return train();
    } catch (const std::exception& caught) {
      if (made_a_step_) throw_to_be_started_again(caught);
      throw;
    }
  }

 private:
  core::ExitCode train() {
    while (static_cast<std::int64_t>(progress().step) < recipe().train.steps) {
      const std::uint64_t asked = control_.collect().value_or(0);
      checkpoints_.hear(asked);
      if (asked & (cluster::kStop | cluster::kWallTime)) return stop(asked);
      if (asked & cluster::kCheckpoint) save();
      control_.publish(own_flags());
      if (take_step()) after_step();
    }
    finish();
    return core::ExitCode::kFinished;
  }

  const Recipe& recipe() const { return setup_.recipe; }
  checkpoint::State& progress() { return setup_.progress; }
  cluster::Whereabouts& here() { return setup_.watchdog->here(); }
  void enter(cluster::Phase phase) { here().enter(phase, static_cast<std::int64_t>(progress().step)); }
  const checkpoint::State& progress() const { return setup_.progress; }
  bool conditional() const { return setup_.recipe.model.classes > 0; }
  std::uint64_t seed() const { return static_cast<std::uint64_t>(setup_.recipe.run.seed); }

  data::LoaderOptions batch_options() const {
    return loader_options(recipe(), dataset_, progress().position, setup_.engine.backend->device(), ranks_);
  }

  /// Rank 0's clock decides for all, through the control word.
  std::uint64_t own_flags() {
    asked_.note();
    const bool stop = asked_.stop(), checkpoint = asked_.take_checkpoint();
    const bool over = ranks_.rank() == 0 && wall_time_.nearly_over(core::monotonic_seconds());
    return (stop ? cluster::kStop : 0) | (checkpoint ? cluster::kCheckpoint : 0) | (over ? cluster::kWallTime : 0) |
           checkpoints_.flags();
  }

  /// False if it ended in a rollback: the run stands at a checkpoint whose reports are done.
  bool take_step() {
    here().enter(cluster::Phase::kData, static_cast<std::int64_t>(progress().step) + 1);
    data::Batch batch = batches_->next();
    last_ = step_(batch, static_cast<std::int64_t>(progress().step) + 1,
                  static_cast<std::int64_t>(progress().optimizer_step));
    waited_ += batch.waited_seconds;
    if (!last_.skipped) {
      batches_->give_back(std::move(batch));
      count_update(progress(), recipe().train.batch);
      made_a_step_ = true;
      return true;
    }
    const std::string what = note_skip(batch);
    const Recovery next = what_next(progress(), recipe().train);
    if (next == Recovery::kGoOn) return true;
    if (next == Recovery::kGiveUp || !go_back()) give_up(what);
    return false;
  }

  /// Returns what was said about it.
  std::string note_skip(data::Batch& batch) {
    const auto culprits = find_culprits(recipe(), *objective_, model_, dataset_.info(), batch, ranks_, here());
    count_skip(progress(), recipe().train.batch);
    const auto text = core::concat("step ", progress().step, " is skipped: loss ", last_.loss, ", gradient norm ",
                                   last_.gradient_norm, " on positions ", batch.position, " to ",
                                   progress().position - 1, " (", progress().skips_in_a_row, " in a row); ",
                                   describe(culprits, dataset_.source(), recipe().train.batch));
    if (ranks_.rank() == 0) core::log_warning(text);
    std::vector<std::string> positions, samples;
    for (const auto& culprit : culprits) {
      positions.push_back(std::to_string(culprit.position));
      samples.push_back(std::to_string(culprit.sample));
    }
    telemetry_.note("skip", progress().step,
                    {{"text", text}, {"positions", core::listed(positions)}, {"samples", core::listed(samples)}});
    return text;
  }

  /// False if there is no checkpoint to go back to.
  bool go_back() {
    enter(cluster::Phase::kCheckpoint);
    checkpoints_.settle();  // where the run goes back to must not depend on the speed of the disk
    const std::uint64_t failed = progress().step;
    const std::string target = roll_back(files_, setup_.directory->checkpoints(), recipe(), progress(), state_, ranks_);
    if (target.empty()) return false;
    const auto text = core::concat(
        "after step ", failed, " the weights go back to ", target, ", the data go on at position ", progress().position,
        " (rollback ", progress().rollbacks_in_a_row, " of ", recipe().train.rollbacks, " before a newer checkpoint)");
    if (ranks_.rank() == 0) core::log_warning(text);
    telemetry_.note("rollback", progress().step, {{"text", text}, {"target", target}});
    batches_.emplace(recipe(), conditional(), dataset_, batch_options(), ranks_);
    checkpoints_.stands_at(progress().step);
    validated_step_.reset();
    start_window();
    return true;
  }

  [[noreturn]] void give_up(const std::string& last_skip) const {
    throw cluster::AgreedError(
        core::ExitCode::kNumerical,
        core::concat(last_skip, ". That is the end: ",
                     progress().rollbacks_in_a_row < static_cast<std::uint64_t>(recipe().train.rollbacks)
                         ? "there is no checkpoint with older weights to go back to"
                         : core::concat("all train.rollbacks = ", recipe().train.rollbacks,
                                        " are used up without a newer checkpoint"),
                     " (going on would train on nothing). Repair or remove the samples whose values are not finite; if "
                     "there are ",
                     "none, lower optimizer.lr, lengthen optimizer.warmup_steps or set train.clip, and start again: it "
                     "resumes."));
  }

  void after_step() {
    enter(cluster::Phase::kReport);
    const auto step = static_cast<std::int64_t>(progress().step);
    const auto due = [step](std::int64_t every) { return every > 0 && step % every == 0; };
    if (due(recipe().log.every_steps)) report_step();
    if (!last_.block_norms.empty()) telemetry_.report("norms", progress().step, last_.block_norms);
    if (due(recipe().log.validate_every_steps)) validate();
    if (due(recipe().checkpoint.every_steps)) save();
    if (due(recipe().sample.every_steps)) preview();
  }

  void report_start() {
    const auto own = own_samples(recipe().train, ranks_);
    here().set_work(static_cast<double>(own.last - own.first));
    window_started_ = core::monotonic_seconds();
    window_step_ = progress().step;
    if (ranks_.rank() == 0) {
      core::log_info(describe_run(setup_, ranks_));
      warn_of_data();
    }
    telemetry_.note("start", progress().step,
                    {{"resumed_from", setup_.resumed_from},
                     {"ranks", std::to_string(ranks_.size())},
                     {"kernel_fingerprint", progress().kernel_fingerprint}});
  }

  void warn_of_data() const {
    if (!recipe().flow.distill.teacher.empty() && recipe().model.init.empty()) {
      core::log_warning("flow.teacher without model.init: the student learns from nothing. It is much faster from the ",
                        "teacher's weights, model.init = \"", recipe().flow.distill.teacher, "\".");
    }
    const std::string odd = odd_scale(dataset_.source());
    if (!odd.empty()) core::log_warning(odd);
    if (recipe().data.overfit == 0) return;
    core::log_warning("OVERFITTING ON PURPOSE (data.overfit): nothing but the first ", recipe().data.overfit,
                      " samples is trained on, never mirrored. A network that works learns them by heart; its samples "
                      "are copies of them.");
  }

  void report_step() {
    const double seconds = core::monotonic_seconds() - window_started_;
    const double samples =
        static_cast<double>(progress().step - window_step_) * static_cast<double>(recipe().train.batch);
    std::vector<double> over_ranks = {waited_, peak_memory_bytes()};
    ranks_.all_reduce(over_ranks, cluster::Reduction::kMax);
    const double rate = samples / std::max(seconds, 1e-9), waited = over_ranks[0] / std::max(seconds, 1e-9);
    std::map<std::string, double> values = {{"loss", last_.loss},
                                            {"gradient_norm", last_.gradient_norm},
                                            {"lr", last_.learning_rate},
                                            {"position", static_cast<double>(progress().position)},
                                            {"samples_per_second", rate},
                                            {"model_flops_per_second", rate * flops_a_sample_},
                                            {"peak_flops_per_second", peak_},
                                            {"peak_share", rate * flops_a_sample_ / peak_},
                                            {"data_wait_share", waited},
                                            {"compute_seconds", last_.compute_seconds},
                                            {"reduce_seconds", last_.reduce_seconds},
                                            {"update_seconds", last_.update_seconds},
                                            {"exchange_hidden_seconds", last_.exchange_hidden_seconds},
                                            {"exchange_exposed_seconds", last_.exchange_exposed_seconds},
                                            {"peak_memory_bytes", over_ranks[1]}};
    for (const auto& use : memory()) values["memory_" + use.kind + "_bytes"] = static_cast<double>(use.bytes);
    telemetry_.report("train", progress().step, values);
    telemetry_.progress(static_cast<std::int64_t>(progress().step), progress_line(rate, waited));
    start_window();
  }

  /// What this rank's engine has allocated.
  std::vector<MemoryUse> memory() const {
    std::vector<MemoryUse> uses = state_.memory();
    uses.push_back(step_.memory());
    uses.push_back(saver_.memory());
    return uses;
  }

  std::string progress_line(double rate, double waited) const {
    char text[128];
    const double flops = rate * flops_a_sample_;
    std::snprintf(text, sizeof(text), "loss %.4f, %.0f samples/s, %s (%.0f %% of peak), data wait %.1f %%", last_.loss,
                  rate, human_flops_rate(flops).c_str(), 100 * flops / peak_, 100 * waited);
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
    enter(cluster::Phase::kValidate);
    const auto loss = held_out();
    if (!loss) return;
    auto values = as_metrics(*loss, "");
    if (!recipe().ema.decays.empty()) {
      const ShardedState::AverageInPlace average(state_, 0);
      const auto averaged = held_out();
      if (!averaged) return;
      values.merge(as_metrics(*averaged, "ema_"));
    }
    validated_step_ = progress().step;
    progress().metrics["held_out_loss"] = values["loss"];
    if (values.contains("ema_loss")) progress().metrics["ema_held_out_loss"] = values["ema_loss"];
    telemetry_.report("validation", progress().step, values);
    start_window();
  }

  /// Nothing if the run is to stop.
  std::optional<HeldOutLoss> held_out() {
    const std::int64_t chunk = recipe().train.batch / recipe().train.slices;
    return held_out_loss(dataset_, *objective_, model_, chunk, ranks_, [this] {
      here().progress();
      return asked_.stop_anywhere(ranks_);
    });
  }

  void preview() {
    enter(cluster::Phase::kPreview);
    if (asked_.stop_anywhere(ranks_)) return;
    std::optional<ShardedState::AverageInPlace> average;
    if (!recipe().ema.decays.empty()) average.emplace(state_, 0);
    const std::string path = core::concat(setup_.directory->samples(), "/step-", progress().step, ".png");
    draw_preview(path);
    start_window();
  }

  /// Of a model conditioned on text: the prompts of the set's first samples.
  void draw_preview(const std::string& path) {
    data::SetInfo info = dataset_.info();
    if (!model::takes_text(model_.options())) return write_preview(model_, info, recipe(), path, ranks_, here());
    const std::shared_ptr<model::Module> lent(&model_, [](model::Module*) {});
    const auto prompted = sampler::prompted(lent, sampler::first_prompts(dataset_.source(), recipe().sample.count));
    info.class_names.clear();  // prompts have none
    write_preview(*prompted, info, recipe(), path, ranks_, here());
  }

  void save() {
    if (checkpoints_.holds(progress().step)) return;
    if (recipe().log.validate_every_steps == 0) validate();
    note_metrics();
    checkpoints_.write(progress());
    start_window();
  }

  /// What the next checkpoint says of itself.
  void note_metrics() {
    if (validated_step_ != progress().step) forget_held_out_losses(progress());
    progress().metrics["loss"] = last_.loss;
  }

  /// Who stops us may not wait for long: no validation before the checkpoint.
  core::ExitCode stop(std::uint64_t asked) {
    const bool requested = asked & cluster::kStop;
    if (ranks_.rank() == 0) {
      core::log_info(requested ? "asked to stop" : "the time is nearly over (run.wall_minutes or the job's end)",
                     ": step ", progress().step, " is the last of this start; its checkpoint is written");
    }
    note_metrics();
    checkpoints_.write_last(progress());
    telemetry_.finish(requested ? "stopped on request, checkpoint written" : "time over, checkpoint written");
    return core::ExitCode::kStopped;
  }

  void finish() {
    save();
    if (recipe().sample.every_steps > 0 &&
        progress().step % static_cast<std::uint64_t>(recipe().sample.every_steps) != 0)
      preview();
    checkpoints_.write_last(progress());
    char text[64];
    std::snprintf(text, sizeof(text), "loss %.4f", last_.loss);
    telemetry_.finish(text);
  }

  const double started_ = core::monotonic_seconds();
  Asked asked_;
  cluster::Communicator& ranks_;
  core::PosixFileSystem files_;
  RunSetup setup_;
  Dataset& dataset_;
  model::Module& model_;
  std::unique_ptr<Objective> objective_;
  ShardedState& state_;
  TrainingStep step_;
  cluster::ControlWord control_;
  BackgroundSaver saver_;
  std::optional<GlobalCoupling> batches_;  // new ones after a rollback
  Telemetry telemetry_;
  WallTime wall_time_;
  double flops_a_sample_;  // of the model, forward and backward
  double peak_;            // FLOP/s of all ranks' devices
  CheckpointSchedule checkpoints_;

  StepResult last_;
  bool made_a_step_ = false;  // in this start, with numbers that are finite
  double waited_ = 0;
  double window_started_ = 0;
  std::uint64_t window_step_ = 0;
  std::optional<std::uint64_t> validated_step_;
};

}  // namespace

core::ExitCode run_training(const RunRequest& request, cluster::Communicator& ranks) {
  return TrainingRun(request, ranks)();
}

std::string effective_recipe(const RunRequest& request, int ranks) {
  core::Config config = load_recipe(request);
  check_ranks(read_recipe(config), ranks);
  return config.dump();
}

}  // namespace pathline::trainer
