// SPDX-License-Identifier: Apache-2.0
#include "model/time_input.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "model/noise_schedule.h"

namespace pathline::model {
namespace {

/// log(alpha_bar / (1 - alpha_bar)), falling.
std::vector<double> log_snr(const std::string& schedule) {
  std::vector<double> table = alpha_bars(schedule);
  for (double& entry : table) entry = std::log(entry) - std::log1p(-entry);
  return table;
}

/// Index of the falling table at `log_snr`, linear between entries.
double index_at(const std::vector<double>& table, double log_snr) {
  if (log_snr >= table.front()) return 0.0;
  if (log_snr <= table.back()) return 999.0;
  const auto above = std::upper_bound(table.begin(), table.end(), log_snr, std::greater<double>());
  const double share = (above[-1] - log_snr) / (above[-1] - above[0]);
  return static_cast<double>(above - table.begin() - 1) + share;
}

at::Tensor ddpm_index(const std::vector<double>& table, const at::Tensor& t) {
  const at::Tensor host = t.detach().to(at::kCPU, at::kFloat).contiguous();
  at::Tensor index = at::empty_like(host);
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    const double time = host.const_data_ptr<float>()[i];
    const double ratio = 2.0 * (std::log(time) - std::log1p(-time));
    index.mutable_data_ptr<float>()[i] = static_cast<float>(index_at(table, ratio));
  }
  return index.to(t.device());
}

}  // namespace

TimeInput parse_time_input(const std::string& text) {
  const std::vector<std::string> names = {"flow", "flow-reversed", "x1000", "ddpm999", "ddpm999-cosine"};
  const auto found = std::find(names.begin(), names.end(), text);
  PL_CHECK(found != names.end(), core::ExitCode::kUsage, "model.time_input is \"", text,
           "\", which is not known (it says what number the network is fed as time). Did you mean \"",
           core::nearest_name(text, names), "\"? Known: ", core::listed(names), ".");
  return static_cast<TimeInput>(found - names.begin());
}

at::Tensor network_time(TimeInput input, const at::Tensor& t) {
  switch (input) {
    case TimeInput::kFlow:
      return t;
    case TimeInput::kFlowReversed:
      return 1.0 - t;
    case TimeInput::kTimes1000:
      return (1.0 - t) * 1000.0;
    case TimeInput::kDdpm999: {
      static const std::vector<double> table = log_snr("ddpm-linear");
      return ddpm_index(table, t);
    }
    case TimeInput::kDdpm999Cosine: {
      static const std::vector<double> table = log_snr("cosine");
      return ddpm_index(table, t);
    }
  }
  PL_ASSERT(false);
}

}  // namespace pathline::model
