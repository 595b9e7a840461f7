// SPDX-License-Identifier: Apache-2.0
#include "apps/likelihood/run.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <memory>
#include <span>

#include "apps/likelihood/report.h"
#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "cluster/session.h"
#include "core/choice.h"
#include "core/error.h"
#include "core/file_crc.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/loader.h"
#include "data/shard_source.h"
#include "launch/signals.h"
#include "sampler/bijection.h"
#include "sampler/checkpointed_model.h"
#include "sampler/compute_device.h"
#include "sampler/distilled.h"
#include "sampler/latents.h"
#include "sampler/path_field.h"
#include "sampler/row_check.h"
#include "sampler/slot_count.h"
#include "sampler/spread_likelihood.h"
#include "sampler/start_source.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

using sampler::kSlotMultiple;

void check_command(const LikelihoodCommand& command, bool root) {
  core::check_choice("--labels", command.labels, {"data", "null"});
  core::check_choice("--dequantize", command.dequantize, {"uniform", "none"});
  PL_CHECK(command.how.slots > 0 && command.how.slots % kSlotMultiple == 0, ExitCode::kUsage, "--slots is ",
           command.how.slots, "; it must be a multiple of ", kSlotMultiple, " (kernels treat other batches unevenly).");
  PL_CHECK(command.threads >= 0 && command.count >= 0, ExitCode::kUsage, "--threads and --count must be positive.");
  PL_CHECK(command.output.empty() || command.output.ends_with(".npz"), ExitCode::kUsage, "no format is known by the ",
           "ending of ", command.output, ". Every item's figures can be written to .npz.");
  if (root && command.dequantize == "none") {
    core::log_warning("without dequantisation a density of 8-bit data has no bound: the figure compares with nothing");
  }
}

void check_fits(const data::SetInfo& info, const sampler::CheckpointedModel& loaded) {
  const std::vector<std::int64_t> shape = sampler::sample_shape_of(loaded.model->options());
  PL_CHECK(shape == info.sample_shape(), ExitCode::kInput, "the model of ", loaded.directory,
           " was made for items of shape ", c10::IntArrayRef(shape), ", and the data are ", info.description,
           ". Use data as the model was trained on.");
  sampler::check_same_latents(info.description, info.latents, loaded.latents);
}

/// A density that only ever saw the 256 levels need not know what lies between them.
void warn_of_levels(const data::SetInfo& info, sampler::CheckpointedModel& loaded) {
  std::string dequantize = "none";
  loaded.recipe.bind("data", "dequantize", dequantize, core::OnResume::kFree, "");
  const bool by_likelihood = loaded.flow.objective.starts_with("nll-");  // which dequantises always
  if (info.kind != data::ItemKind::kImage || by_likelihood || dequantize == "uniform") return;
  core::log_warning(
      "this model was trained on 8-bit levels as they are; what it says of the numbers between them is a ",
      "bound still, but a loose one. Train with data.dequantize = \"uniform\" for likelihoods.");
}

/// Item `i` as the model sees it: (C, H, W), pictures in about [-1, 1], or (D). Of a latent's law its mean.
at::Tensor item(const data::ShardSource& source, std::int64_t i, const LikelihoodCommand& command) {
  const data::SetInfo& info = source.info();
  if (info.kind != data::ItemKind::kImage) {
    at::Tensor values = at::empty(info.sample_shape(), at::kFloat);
    std::vector<std::byte> bytes(info.item_bytes());
    source.read(i, bytes);
    data::to_values(info, bytes, /*mirrored=*/false, {values.mutable_data_ptr<float>(), info.item_values()});
    return values;
  }
  at::Tensor pixels = at::empty({info.height, info.width, info.channels}, at::kByte);
  source.read(i, std::as_writable_bytes(std::span(pixels.mutable_data_ptr<std::uint8_t>(), info.item_values())));
  const bool uniform = command.dequantize == "uniform";
  return sampler::dequantized(pixels, command.how.seed, i, uniform).permute({2, 0, 1}).contiguous();
}

class LikelihoodRun {
 public:
  LikelihoodRun(const LikelihoodCommand& command, cluster::Communicator& world)
      : command_(command), world_(world), root_(world.rank() == 0) {}

  int run() {
    const int gpu = sampler::choose_gpu({command_.device, "compute on the processor with --device cpu"}, world_);
    // One step for all: a run that is still written has a newer one a moment later.
    std::string step = cluster::together(world_, [&] {
      check_command(command_, root_);
      core::PosixFileSystem files;
      return root_ ? checkpoint::resolve(files, command_.checkpoint) : "";
    });
    step = cluster::word_of_root(world_, step);
    cluster::together(world_, [&] { prepare(step, gpu); });
    check_same_model();
    core::Progress progress("likelihood", ids_.count(), "items", root_);
    const auto densities = solve([&](const sampler::Tally& tally) { progress.update(tally.done); });
    progress.finish();
    cluster::together(world_, [&] {
      if (root_) report(command_, densities, source_->info());
    });
    return 0;
  }

 private:
  void prepare(const std::string& step, int gpu) {
    at::set_num_threads(static_cast<int>(command_.threads > 0 ? command_.threads : cluster::usual_threads()));
    core::PosixFileSystem files;
    loaded_ = sampler::load_checkpointed_model(files, step, command_.ema);
    sampler::move_to(*loaded_.model, sampler::open_device(gpu));
    source_ = data::open_source(command_.data);
    const data::SetInfo& info = source_->info();
    check_fits(info, loaded_);
    sampler::check_density(loaded_.flow.pairing, "a likelihood");
    sampler::check_all_times(loaded_.flow, "a likelihood");
    null_label_ = sampler::null_label_of(loaded_.model->options());
    check_labels(info);
    ids_ = {command_.first, command_.count > 0 ? std::min(info.count, command_.first + command_.count) : info.count};
    PL_CHECK(0 <= ids_.first && ids_.first < ids_.last, ExitCode::kUsage, "--first is ", command_.first,
             ", and the set has ", info.count, " items.");
    if (root_) warn_of_levels(info, loaded_);
    if (sampler::is_one_step(*loaded_.model)) return;  // nothing is solved
    const flow::Parameterisation trained = flow::parameterisation_of(loaded_.flow);
    const flow::TimeInterval times = trained.sampling_times();
    how_ = command_.how;
    how_.noise_time = times.first;
    how_.data_time = times.last;
    how_.noise_deviation = trained.path().noise_at(times.first);
    const sampler::Field answers =
        trained.gives_own_time() ? sampler::noise_field_of(*loaded_.model) : sampler::field_of(*loaded_.model);
    field_ = [model = sampler::velocity_of(answers, trained)](const at::Tensor& x, const at::Tensor& t,
                                                              const at::Tensor& labels) {
      PL_CHECK(!launch::take_signal_requests().stop, ExitCode::kStopped,
               "asked to stop before all items were done, of which nothing is kept (the figure is a mean over all of "
               "them). Start the same command again, or ask for parts of the set with --first and --count.");
      return model(x, t, labels);
    };
    sampler::Job rows;
    rows.sample_shape = sampler::sample_shape_of(loaded_.model->options());
    rows.null_label = null_label_;
    rows.slots = command_.how.slots;
    rows.solver.t0 = how_.noise_time;
    rows.solver.t1 = how_.data_time;
    sampler::check_rows_independent(sampler::with_derivative(field_), rows);
  }

  /// Directories of one name may differ from host to host.
  void check_same_model() {
    const std::string mine = cluster::together(world_, [&] { return identity(); });
    const std::string first = cluster::word_of_root(world_, mine);
    cluster::together(world_, [&] {
      PL_CHECK(mine == first, ExitCode::kInput, "rank ", world_.rank(), " has loaded ", mine, ", and rank 0 ", first,
               " (the figure would be of no model at all). Give all ranks one checkpoint, where all hosts see it.");
    });
  }

  std::string identity() const {
    core::PosixFileSystem files;
    return core::concat(loaded_.directory, ", weights ", loaded_.kind, ", manifest crc32c ",
                        core::crc_of_file(files, core::join_path(loaded_.directory, "manifest.json")));
  }

  void check_labels(const data::SetInfo& info) const {
    const std::int64_t classes = loaded_.model->options().classes;
    if (classes == 0) return;
    const bool from_data = command_.labels == "data";
    PL_CHECK(!from_data || (info.classes > 0 && info.classes <= classes), ExitCode::kUsage, "the data have ",
             info.classes, " classes, and the model knows ", classes, " (", info.description,
             "; an item's likelihood is that under its label). Give data with the labels that it was trained on, or ",
             "--labels null for the likelihood without one.");
    if (!from_data && loaded_.flow.label_drop == 0 && root_) {
      core::log_warning("--labels null asks for what the model makes without a label, and it was trained with ",
                        "flow.label_drop = 0: never without one");
    }
  }

  std::vector<sampler::LogDensity> solve(const std::function<void(const sampler::Tally&)>& progress) {
    const sampler::SetOfData data{ids_, [this](std::int64_t i) { return datum(i); }};
    const bool labelled = null_label_ >= 0;
    if (auto* bijection = dynamic_cast<model::Bijection*>(loaded_.model.get())) {
      const sampler::DensitySolver in_one_pass = [&](const auto& next, const auto& emit) {
        sampler::log_densities(*bijection, command_.how.slots, labelled, next, emit);
      };
      return sampler::densities_on_ranks(world_, in_one_pass, command_.how.slots, data, progress);
    }
    return sampler::densities_on_ranks(world_, field_, how_, sampler::sample_shape_of(loaded_.model->options()),
                                       labelled, data, progress);
  }

  sampler::Datum datum(std::int64_t i) const {
    const std::int64_t label = command_.labels == "data" ? source_->label(i) : -1;
    return {i, label < 0 ? std::max<std::int64_t>(null_label_, 0) : label, item(*source_, i, command_)};
  }

  const LikelihoodCommand& command_;
  cluster::Communicator& world_;
  const bool root_;
  sampler::CheckpointedModel loaded_;
  std::shared_ptr<data::ShardSource> source_;
  std::int64_t null_label_ = -1;
  sampler::IdRange ids_;
  sampler::LikelihoodOptions how_;  // with the ends of the path
  sampler::Field field_;
};

}  // namespace

int run_likelihood(const LikelihoodCommand& command, cluster::Communicator& world) {
  core::configure_log({.rank = world.rank(), .ranks = world.size(), .file = {}, .level = core::LogLevel::kInfo});
  return LikelihoodRun(command, world).run();
}

}  // namespace pathline::apps
