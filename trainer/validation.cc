// SPDX-License-Identifier: Apache-2.0
#include "trainer/validation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/log.h"
#include "flow/keyed_draws.h"
#include "flow/linear_path.h"
#include "flow/transfer.h"

namespace pathline::trainer {
namespace {

/// (n) times in bins i mod kTimeBins.
at::Tensor stratified_times(std::uint64_t seed, const std::vector<std::uint64_t>& numbers) {
  at::Tensor times = flow::keyed_times(seed, core::Purpose::kValidationTime, numbers, flow::TimeLaw());
  float* t = times.mutable_data_ptr<float>();
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    t[n] = (static_cast<float>(numbers[n] % kTimeBins) + t[n]) / static_cast<float>(kTimeBins);
  }
  return times;
}

at::Tensor losses_of(const Slice& slice, model::VelocityModel& model, std::uint64_t seed) {
  const at::Device device = device_of(model);
  const at::Tensor x1 = flow::sent_to(slice.x1, device);
  const at::Tensor t = flow::sent_to(stratified_times(seed, slice.positions), device);
  const at::Tensor x0 =
      flow::keyed_noise(seed, core::Purpose::kValidationNoise, slice.positions, x1.sizes().slice(1), device);
  const auto path = flow::linear_path(x0, x1, t);
  const auto labels = flow::dropped_labels(seed, slice.positions, slice.labels, 0.0, model.options().classes, device);
  const at::Tensor v = model.velocity(path.x, t, condition_for(model, labels));
  return flow::squared_error_per_sample(v, path.velocity);
}

}  // namespace

std::optional<HeldOutLoss> held_out_loss(const Dataset& dataset, model::VelocityModel& model, std::uint64_t seed,
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
    const at::Tensor found = losses_of(dataset.validation_slice(first, last), model, seed).to(at::kCPU);
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
  std::array<double, kTimeBins> members{};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    result.mean += losses[i] / static_cast<double>(count);
    result.by_time[i % kTimeBins] += losses[i];
    members[i % kTimeBins] += 1;
  }
  for (int bin = 0; bin < kTimeBins; ++bin) {
    if (members[bin] > 0) result.by_time[bin] /= members[bin];
  }
  return result;
}

std::map<std::string, double> as_metrics(const HeldOutLoss& loss, const std::string& prefix) {
  std::map<std::string, double> metrics = {{prefix + "loss", loss.mean}};
  for (int bin = 0; bin < kTimeBins; ++bin) {
    std::ostringstream name;
    name << prefix << "loss_t0." << bin;
    metrics[name.str()] = loss.by_time[bin];
  }
  return metrics;
}

}  // namespace pathline::trainer
