// SPDX-License-Identifier: Apache-2.0
#include "trainer/optimizer.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "trainer/schedule.h"

namespace pathline::trainer {
namespace {

double lr_of(const OptimizerOptions& options, std::int64_t step, const GroupSettings& settings) {
  return lr_at(options, step) * settings.lr_factor;
}

class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, const UpdateKernels& kernels) : options_(options), kernels_(kernels) {}

  std::vector<std::string> state_names() const override { return {"adam_m", "adam_v"}; }

  void update(std::int64_t step, double gradient_scale, const GroupSettings& settings,
              const ShardArrays& run) const override {
    const double n = static_cast<double>(step + 1);
    AdamWStep numbers;
    numbers.gradient_scale = static_cast<float>(gradient_scale);
    numbers.lr = static_cast<float>(lr_of(options_, step, settings));
    numbers.beta1 = static_cast<float>(options_.beta1);
    numbers.beta2 = static_cast<float>(options_.beta2);
    numbers.epsilon = static_cast<float>(options_.epsilon);
    numbers.weight_decay = static_cast<float>(settings.weight_decay);
    numbers.correction1 = static_cast<float>(1.0 - std::pow(options_.beta1, n));
    numbers.root_correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(options_.beta2, n)));
    kernels_.adamw(numbers, run);
  }

 private:
  OptimizerOptions options_;
  UpdateKernels kernels_;
};

class Lion final : public Optimizer {
 public:
  Lion(const OptimizerOptions& options, const UpdateKernels& kernels) : options_(options), kernels_(kernels) {}

  std::vector<std::string> state_names() const override { return {"lion_m"}; }

  void update(std::int64_t step, double gradient_scale, const GroupSettings& settings,
              const ShardArrays& run) const override {
    LionStep numbers;
    numbers.gradient_scale = static_cast<float>(gradient_scale);
    numbers.lr = static_cast<float>(lr_of(options_, step, settings));
    numbers.beta1 = static_cast<float>(options_.beta1);
    numbers.beta2 = static_cast<float>(options_.beta2);
    numbers.weight_decay = static_cast<float>(settings.weight_decay);
    kernels_.lion(numbers, run);
  }

 private:
  OptimizerOptions options_;
  UpdateKernels kernels_;
};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

struct Group {
  std::string pattern;
  std::vector<std::pair<std::string, double>> values;
};

/// "*.bias: weight_decay=0, lr=0.5".
Group parse_group(const std::string& entry) {
  const std::string where = "optimizer.groups entry \"" + entry + "\"";
  const std::string form =
      "Write \"PATTERN: KEY=NUMBER, ...\" with keys lr and weight_decay, for example "
      "\"*.bias: weight_decay=0\".";
  const auto colon = entry.find(':');
  PL_CHECK(colon != std::string::npos && !trimmed(entry.substr(0, colon)).empty(), core::ExitCode::kUsage, where,
           " names no parameters (a group is a pattern of names and what holds for them). ", form);
  Group group{trimmed(entry.substr(0, colon)), {}};
  for (const std::string& part : core::split(entry.substr(colon + 1), ',')) {
    const auto equals = part.find('=');
    const std::string key = trimmed(part.substr(0, equals));
    PL_CHECK(equals != std::string::npos && (key == "lr" || key == "weight_decay"), core::ExitCode::kUsage, where,
             " sets \"", trimmed(part), "\", which is nothing that a group can set. ", form);
    const double value = core::parse_number(trimmed(part.substr(equals + 1)), key + " in " + where);
    PL_CHECK(std::isfinite(value) && value >= 0, core::ExitCode::kUsage, where, " sets ", key, " = ", value,
             " (training would not move towards smaller losses). Use a number that is at least 0.");
    group.values.emplace_back(key, value);
  }
  PL_CHECK(!group.values.empty(), core::ExitCode::kUsage, where, " sets nothing. ", form);
  return group;
}

void apply(const Group& group, GroupSettings& settings) {
  for (const auto& [key, value] : group.values) (key == "lr" ? settings.lr_factor : settings.weight_decay) = value;
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const UpdateKernels& kernels) {
  if (options.name == "lion") return std::make_unique<Lion>(options, kernels);
  PL_ASSERT(options.name == "adamw");
  return std::make_unique<AdamW>(options, kernels);
}

std::vector<GroupSettings> group_settings(const OptimizerOptions& options, const FlatLayout& layout) {
  std::vector<GroupSettings> settings(layout.tensors.size(), {.lr_factor = 1.0, .weight_decay = options.weight_decay});
  for (const std::string& entry : options.groups) {
    const Group group = parse_group(entry);
    bool matches = false;
    for (std::size_t i = 0; i < settings.size(); ++i) {
      if (fnmatch(group.pattern.c_str(), layout.tensors[i].name.c_str(), 0) != 0) continue;
      apply(group, settings[i]);
      matches = true;
    }
    PL_CHECK(matches, core::ExitCode::kUsage, "optimizer.groups entry \"", entry,
             "\" matches no parameter (it would do nothing). Names are like \"", layout.tensors.front().name,
             "\"; * stands for anything.");
  }
  return settings;
}

std::vector<SettingsRun> runs_of(const FlatLayout& layout, std::span<const GroupSettings> settings, std::size_t begin,
                                 std::size_t end) {
  PL_ASSERT(settings.size() == layout.tensors.size() && begin <= end && end <= layout.elements);
  std::vector<SettingsRun> runs;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const bool last = i + 1 == settings.size();
    const std::size_t from = std::max(begin, i == 0 ? 0 : layout.tensors[i].offset);
    const std::size_t to = std::min(end, last ? layout.elements : layout.tensors[i + 1].offset);
    if (from >= to) continue;
    if (!runs.empty() && runs.back().settings == settings[i])
      runs.back().end = to;
    else
      runs.push_back({from, to, settings[i]});
  }
  return runs;
}

void update_runs(const Optimizer& optimizer, std::int64_t step, double gradient_scale,
                 std::span<const SettingsRun> runs, std::size_t begin, const ShardArrays& shard) {
  for (const SettingsRun& run : runs) {
    const std::size_t from = std::max(run.begin, begin), to = std::min(run.end, begin + shard.elements);
    if (from < to) optimizer.update(step, gradient_scale, run.settings, shard.part(from - begin, to - from));
  }
}

}  // namespace pathline::trainer
