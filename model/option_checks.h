// SPDX-License-Identifier: Apache-2.0
// Which network a name stands for, and whether the fields make one.
#pragma once

#include <string>
#include <vector>

#include "model/model_options.h"

namespace pathline::model {

enum class Family { kTransformer, kMmDit, kUnet, kMlp, kCouplings, kClassifier };

/// Every model.name, sized ones ("DiT-S/2") and others ("DiT").
std::vector<std::string> known_names();

/// Throws ExitCode::kUsage with the nearest known name.
Family family_of(const std::string& name);

/// Throws ExitCode::kUsage if a sized name comes with fields of another size.
void check_size_of_name(const ModelOptions& options);

/// Throws ExitCode::kUsage, naming key and value, for fields that make no network.
void check_options(const ModelOptions& options);

}  // namespace pathline::model
