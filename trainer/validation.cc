// SPDX-License-Identifier: Apache-2.0
#include "trainer/validation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
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
  for (std::int64_t first = 0, turn = 0; first < count; first += chunk, ++turn) {
    if (turn % ranks.size() == 0 && give_up()) {
      model.set_training(true);
      return std::nullopt;
    }
    if (turn % ranks.size() != ranks.rank()) continue;
    const std::int64_t last = std::min(count, first + chunk);
    const at::Tensor found = objective.held_out_loss_per_sample(dataset.validation_slice(first, last)).to(at::kCPU);
    std::copy_n(found.const_data_ptr<float>(), last - first, losses.begin() + first);
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
  return result;
}

std::map<std::string, double> as_metrics(const HeldOutLoss& loss, const std::string& prefix) {
  std::map<std::string, double> metrics = {{prefix + "loss", loss.mean}};
  for (std::size_t bin = 0; bin < loss.by_time.size(); ++bin) {
    std::ostringstream name;
    name << prefix << "loss_t0." << bin;
    metrics[name.str()] = loss.by_time[bin];
  }
  return metrics;
}

}  // namespace pathline::trainer
