// SPDX-License-Identifier: Apache-2.0
// The seam between the engine, which owns flat shards, and the rule that turns gradients into parameters. A rule works
// element by element: it knows neither tensors nor ranks, only runs of elements with equal settings.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trainer/flat_layout.h"
#include "trainer/options.h"
#include "trainer/update_kernel.h"

namespace pathline::trainer {

/// What a tensor's group decides.
struct GroupSettings {
  double lr_factor = 1.0;
  double weight_decay = 0.0;  // decoupled: a step times lr

  bool operator==(const GroupSettings&) const = default;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Names of the fp32 state of an element, as checkpoints call it ("adam_m", "adam_v"); it starts at zero.
  virtual std::vector<std::string> state_names() const = 0;

  /// One step on a run of elements. `step` counts optimizer steps from 0 and decides the learning rate; the gradient
  /// counts times `gradient_scale`. Thread-safe for different runs.
  virtual void update(std::int64_t step, double gradient_scale, const GroupSettings& settings,
                      const ShardArrays& run) const = 0;
};

/// options.name: adamw | lion. `kernels` must live as long as the program.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, const UpdateKernels& kernels = kHostKernels);

/// Settings of every tensor, in the order of layout.tensors: optimizer.weight_decay, then each entry of
/// optimizer.groups that matches the tensor's name, later ones winning key by key. An entry is
/// "PATTERN: KEY=VALUE, ..." with * and ? in the pattern, keys lr (a factor) and weight_decay. Throws ExitCode::kUsage
/// for an entry that cannot be read or matches no tensor.
std::vector<GroupSettings> group_settings(const OptimizerOptions& options, const FlatLayout& layout);

/// Elements [begin, end) of the flat buffer with equal settings.
struct SettingsRun {
  std::size_t begin = 0;
  std::size_t end = 0;
  GroupSettings settings;

  bool operator==(const SettingsRun&) const = default;
};

/// Cuts [begin, end) of the flat buffer into as few runs as there are changes of settings (one per tensor, as
/// group_settings returns them), in order and without gaps: padding belongs to the tensor before it.
std::vector<SettingsRun> runs_of(const FlatLayout& layout, std::span<const GroupSettings> settings, std::size_t begin,
                                 std::size_t end);

/// One step on a whole shard, `shard` being elements [begin, begin + shard.elements) of the flat buffer that `runs`
/// covers (it may cover more). The bits do not depend on how a buffer is cut into shards.
void update_runs(const Optimizer& optimizer, std::int64_t step, double gradient_scale,
                 std::span<const SettingsRun> runs, std::size_t begin, const ShardArrays& shard);

}  // namespace pathline::trainer
