// SPDX-License-Identifier: Apache-2.0
// The command line of `pathline likelihood`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sampler/likelihood.h"

namespace pathline::apps {

struct LikelihoodCommand {
  std::string checkpoint, ema, output, labels = "data", dequantize = "uniform", device = "auto";
  std::vector<std::string> data;
  std::int64_t first = 0, count = 0;  // items; count 0: all from the first
  std::int64_t threads = 0;           // 0: 1 under a launcher, all cores alone
  sampler::LikelihoodOptions how;
  bool json = false;
};

}  // namespace pathline::apps
