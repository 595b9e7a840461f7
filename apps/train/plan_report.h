// SPDX-License-Identifier: Apache-2.0
// A plan (trainer/planner.h) for people and as JSON.
#pragma once

#include <string>

#include "trainer/planner.h"

namespace pathline::apps {

std::string plan_text(const trainer::Plan& plan);
std::string plan_json(const trainer::Plan& plan);

}  // namespace pathline::apps
