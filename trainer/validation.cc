// SPDX-License-Identifier: Apache-2.0
#include "trainer/validation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "core/log.h"

namespace pathline::trainer {
namespace {

std::vector<double> mean_by_time(const std::vector<double>& losses) {
  std::vector<double> sums(kTimeBins), members(kTimeBins);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    sums[i % kTimeBins] += losses[i];
    members[i % kTimeBins] += 1;
  }
  for (std::size_t bin = 0; bin < kTimeBins; ++bin) {
    if (members[bin] > 0) sums[bin] /= members[bin];
  }
  return sums;
}

}  // namespace

std::optional<HeldOutLoss> held_out_loss(const Dataset& dataset, const Objective& objective, model::Module& model,
                                         std::int64_t chunk, cluster::Communicator& ranks,
                                         const std::function<bool()>& give_up) {
  const at::NoGradGuard no_grad;
  model.set_training(false);
  const std::int64_t count = dataset.validation_count();
  std::vector<double> losses(static_cast<std::size_t>(count));  // each sample's loss on the rank that evaluated it
  std::vector<double> hits(losses.size());
  for (std::int64_t first = 0, turn = 0; first < count; first += chunk, ++turn) {
    if (turn % ranks.size() == 0 && give_up()) {
      model.set_training(true);
      return std::nullopt;
    }
    if (turn % ranks.size() != ranks.rank()) continue;
    const std::int64_t last = std::min(count, first + chunk);
    const Slice slice = dataset.validation_slice(first, last);
    const auto keep = [&](const at::Tensor& found, std::vector<double>& all) {
      std::copy_n(found.to(at::kCPU).const_data_ptr<float>(), last - first, all.begin() + first);
    };
    keep(objective.held_out_loss_per_sample(slice), losses);
    if (objective.tells_labels()) keep(objective.held_out_hits_per_sample(slice), hits);
  }
  model.set_training(true);
  ranks.all_reduce(losses, cluster::Reduction::kSum);  // one term a sample is not zero: exact in any order
  const auto bad = std::ranges::find_if(losses, [](double loss) { return !std::isfinite(loss); });
  if (bad != losses.end() && ranks.rank() == 0) {
    core::log_warning("the held-out loss is not finite: ", dataset.validation_name(bad - losses.begin()), " has loss ",
                      *bad);
  }
  HeldOutLoss result;
  for (const double loss : losses) result.mean += loss / static_cast<double>(count);
  if (objective.has_times()) result.by_time = mean_by_time(losses);
  if (objective.tells_labels()) {
    ranks.all_reduce(hits, cluster::Reduction::kSum);
    result.accuracy = std::accumulate(hits.begin(), hits.end(), 0.0) / static_cast<double>(count);
    result.accuracy_by_time = mean_by_time(hits);
  }
  return result;
}

std::map<std::string, double> as_metrics(const HeldOutLoss& loss, const std::string& prefix) {
  std::map<std::string, double> metrics = {{prefix + "loss", loss.mean}};
  const auto add_bins = [&](const char* what, const std::vector<double>& bins) {
    for (std::size_t bin = 0; bin < bins.size(); ++bin) {
      std::ostringstream name;
      name << prefix << what << "_t0." << bin;
      metrics[name.str()] = bins[bin];
    }
  };
  add_bins("loss", loss.by_time);
  if (loss.accuracy) metrics[prefix + "accuracy"] = *loss.accuracy;
  add_bins("accuracy", loss.accuracy_by_time);
  return metrics;
}

}  // namespace pathline::trainer
