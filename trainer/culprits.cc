// SPDX-License-Identifier: Apache-2.0
#include "trainer/culprits.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/error.h"
#include "trainer/dataset.h"

namespace pathline::trainer {
namespace {

constexpr std::size_t kNamed = 8;

bool all_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

class Search {
 public:
  Search(const TrainOptions& train, const Objective& objective, model::Module& model, const data::SetInfo& info,
         data::Batch& batch, cluster::Whereabouts& here)
      : train_(train), objective_(objective), model_(model), info_(info), batch_(batch), here_(here) {}

  /// Samples of this rank, as many at a time as in the step: they show, and need, what they did there.
  std::vector<Culprit> operator()() {
    const std::int64_t pass = train_.batch / train_.slices / train_.passes_per_slice();
    for (std::int64_t first = 0; first < std::ssize(batch_.samples); first += pass) look_at_losses(first, pass);
    if (!found_.empty()) return found_;
    for (std::int64_t first = 0; first < std::ssize(batch_.samples); first += pass) {
      if (gradient_is_finite(first, pass)) continue;
      for (std::int64_t i = first; i < first + pass; ++i) {
        if (!gradient_is_finite(i, 1)) note(i, Fault::kGradient);
      }
    }
    return found_;
  }

 private:
  void note(std::int64_t i, Fault fault) {
    found_.push_back(
        {batch_.first + static_cast<std::uint64_t>(i), batch_.samples[static_cast<std::size_t>(i)], fault});
  }

  void look_at_losses(std::int64_t first, std::int64_t count) {
    const at::NoGradGuard no_grad;
    here_.progress();
    const Slice slice = samples_of(batch_, info_, first, count, device_of(model_));
    const at::Tensor losses = objective_.loss_per_sample(slice).to(at::kCPU, at::kDouble).contiguous();  // (count)
    for (std::int64_t i = 0; i < count; ++i) {
      if (std::isfinite(losses.const_data_ptr<double>()[i])) continue;
      note(first + i, all_finite(slice.x1.select(0, i)) ? Fault::kLoss : Fault::kValues);
    }
  }

  /// Through grad(), not backward(): what listens to the parameters' gradients must not hear of this.
  bool gradient_is_finite(std::int64_t first, std::int64_t count) {
    here_.progress();
    const Slice slice = samples_of(batch_, info_, first, count, device_of(model_));
    const at::Tensor losses = objective_.loss_per_sample(slice);  // (count)
    const at::Tensor loss = losses.sum().div(train_.batch);
    torch::autograd::variable_list parameters;
    for (const auto& parameter : model_.parameters()) parameters.push_back(parameter.tensor);
    const auto gradients = torch::autograd::grad({loss}, parameters, {}, std::nullopt, false, true);
    return std::ranges::all_of(gradients,
                               [](const auto& gradient) { return !gradient.defined() || all_finite(gradient); });
  }

  const TrainOptions& train_;
  const Objective& objective_;
  model::Module& model_;
  const data::SetInfo& info_;
  data::Batch& batch_;
  cluster::Whereabouts& here_;
  std::vector<Culprit> found_;
};

/// Everybody's, in rank order, which is the order of positions.
std::vector<Culprit> gathered(const std::vector<Culprit>& mine, cluster::Communicator& ranks) {
  const auto world = static_cast<std::size_t>(ranks.size()), rank = static_cast<std::size_t>(ranks.rank());
  const std::uint64_t own = mine.size();
  std::vector<std::uint64_t> counts(world);
  ranks.all_gather(std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(std::span(counts)));
  std::vector<std::size_t> offsets(world + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), offsets.begin() + 1);
  std::vector<Culprit> all(offsets.back());
  std::ranges::copy(mine, all.begin() + static_cast<std::ptrdiff_t>(offsets[rank]));
  for (auto& offset : offsets) offset *= sizeof(Culprit);
  ranks.all_gather_in_place(std::as_writable_bytes(std::span(all)), offsets);
  return all;
}

const char* text_of(Fault fault) {
  switch (fault) {
    case Fault::kValues:
      return "its values are not finite";
    case Fault::kLoss:
      return "its values are finite, its loss is not";
    case Fault::kGradient:
      return "its loss is finite, its gradient is not";
  }
  return "";
}

}  // namespace

std::vector<Culprit> find_culprits(const Recipe& recipe, const Objective& objective, model::Module& model,
                                   const data::SetInfo& info, data::Batch& batch, cluster::Communicator& ranks,
                                   cluster::Whereabouts& here) {
  std::vector<Culprit> all = gathered(Search(recipe.train, objective, model, info, batch, here)(), ranks);
  // A rank without a bad loss looks at gradients; where another rank has one, that is not what the step failed of.
  const bool losses = std::ranges::any_of(all, [](const auto& one) { return one.fault != Fault::kGradient; });
  if (losses) std::erase_if(all, [](const auto& one) { return one.fault == Fault::kGradient; });
  return all;
}

std::string describe(const std::vector<Culprit>& culprits, const data::ShardSource& source, std::int64_t batch) {
  if (culprits.empty()) return "every sample alone is finite, their sum is not";
  const bool values = std::ranges::any_of(culprits, [](const auto& one) { return one.fault == Fault::kValues; });
  if (std::ssize(culprits) == batch && !values) {
    return core::concat(
        "all ", batch,
        " samples are affected although their values are finite: the weights are at fault, not a sample");
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(culprits.size(), kNamed); ++i) {
    text += core::concat(i ? "; " : "", "position ", culprits[i].position, " is ", source.name_of(culprits[i].sample),
                         ": ", text_of(culprits[i].fault));
  }
  if (culprits.size() > kNamed) text += core::concat("; and ", culprits.size() - kNamed, " more");
  return text;
}

}  // namespace pathline::trainer
