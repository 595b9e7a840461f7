// SPDX-License-Identifier: Apache-2.0
#include "trainer/same_inputs.h"

#include <algorithm>

#include "cluster/agree.h"
#include "core/text.h"

namespace pathline::trainer {
namespace {

struct Difference {
  std::string ours, theirs;
};

/// The first lines that are not the same.
Difference first_difference(const std::string& ours, const std::string& theirs) {
  std::vector<std::string> mine = core::split(ours, '\n'), others = core::split(theirs, '\n');
  const std::size_t lines = std::max(mine.size(), others.size());
  mine.resize(lines);
  others.resize(lines);
  const auto [here, there] = std::mismatch(mine.begin(), mine.end(), others.begin());
  return here == mine.end() ? Difference{} : Difference{*here, *there};
}

}  // namespace

void check_same_inputs(const std::vector<Input>& inputs, cluster::Communicator& ranks) {
  for (const Input& input : inputs) {
    const std::string first = cluster::word_of_root(ranks, input.text);
    cluster::together(ranks, [&] {
      const Difference difference = first_difference(input.text, first);
      PL_CHECK(input.text == first, input.code, "rank ", ranks.rank(), " read another ", input.name, " than rank 0: \"",
               difference.ours, "\", where rank 0 has \"", difference.theirs,
               "\" (ranks would train one model on different things). ", input.try_this);
    });
  }
}

std::string comparable(const core::Config& config) {
  std::string text;
  for (const auto& [key, entry] : config.effective()) {
    if (key != "data.path") text += core::concat(key, " = ", entry.value, "\n");
  }
  return text;
}

}  // namespace pathline::trainer
