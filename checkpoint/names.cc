// SPDX-License-Identifier: Apache-2.0
// Which directory entries are checkpoints, by name and by whether they hold a manifest.
#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "checkpoint/manifest.h"

namespace pathline::checkpoint {
namespace {

constexpr std::string_view kStep = "step-", kSuperseded = ".superseded-";

/// Decimal without sign or leading zeros, so that a number has one name only.
std::optional<std::uint64_t> number_of(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  return whole && (digits.size() == 1 || digits.front() != '0') ? std::optional(value) : std::nullopt;
}

}  // namespace

StepName parse_step_name(const std::string& name) {
  std::string_view rest = name;
  if (!rest.starts_with(kStep)) return {};
  rest.remove_prefix(kStep.size());
  std::uint64_t superseded = 0;
  if (const auto at = rest.find(kSuperseded); at != std::string_view::npos) {
    superseded = number_of(rest.substr(at + kSuperseded.size())).value_or(0);
    if (superseded == 0) return {};
    rest = rest.substr(0, at);
  }
  const auto step = number_of(rest);
  return step ? StepName{true, *step, superseded} : StepName{};
}

std::string step_name(std::uint64_t step) { return std::string(kStep) + std::to_string(step); }

std::string superseded_name(std::uint64_t step, std::uint64_t number) {
  return step_name(step) + std::string(kSuperseded) + std::to_string(number);
}

std::vector<std::uint64_t> superseded_of(core::FileSystem& files, const std::string& directory, std::uint64_t step) {
  std::vector<std::uint64_t> numbers;
  for (const auto& entry : files.list(directory)) {
    const StepName name = parse_step_name(entry);
    if (name.is_step && name.step == step && name.superseded > 0) numbers.push_back(name.superseded);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

bool has_manifest(core::FileSystem& files, const std::string& directory) {
  return files.exists(core::join_path(directory, kManifestName));
}

std::vector<Committed> committed(core::FileSystem& files, const std::string& directory) {
  if (!files.is_directory(directory)) return {};
  std::map<std::uint64_t, std::uint64_t> chosen;  // step -> superseded number, 0 wins
  for (const auto& entry : files.list(directory)) {
    const StepName name = parse_step_name(entry);
    if (!name.is_step || !has_manifest(files, core::join_path(directory, entry))) continue;
    const auto [at, fresh] = chosen.emplace(name.step, name.superseded);
    const bool better = name.superseded == 0 || (at->second != 0 && name.superseded > at->second);
    if (!fresh && better) at->second = name.superseded;
  }
  std::vector<Committed> all;
  for (const auto& [step, superseded] : chosen) {
    const std::string name = superseded ? superseded_name(step, superseded) : step_name(step);
    all.push_back({step, core::join_path(directory, name)});
  }
  return all;
}

}  // namespace pathline::checkpoint
