// SPDX-License-Identifier: Apache-2.0
// flow.teacher: the frozen network that a student is distilled from.
#pragma once

#include <memory>
#include <string>

#include "core/file_system.h"
#include "flow/flow_options.h"
#include "model/velocity_model.h"

namespace pathline::trainer {

/// RUN is a run's newest checkpoint with the weights that are sampled, RUN:KIND other weights of it ("ema-0.999",
/// "master"); FILE.safetensors is read into a network like `student`. In evaluation mode, of the student's type and on
/// its device. Null where flow.teacher is empty. Throws ExitCode::kUsage for a teacher that `student` cannot follow:
/// other shapes or classes, another path or source, no velocities, not twice the steps; kInput for unreadable ones.
std::unique_ptr<model::Module> load_teacher(core::FileSystem& files, const flow::FlowOptions& options,
                                            const model::VelocityModel& student);

/// Which weights those are, wherever they lie.
std::string teacher_identity(core::FileSystem& files, const std::string& teacher);

/// The same flow.teacher with RUN's newest checkpoint in its place, as pinned_init() (starting_weights.h) does.
std::string pinned_teacher(core::FileSystem& files, const std::string& teacher);

}  // namespace pathline::trainer
