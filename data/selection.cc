// SPDX-License-Identifier: Apache-2.0
// "FILE.h5:/pixels,/labels@0..1@28x28@nchw", as users write it.
#include <algorithm>
#include <filesystem>
#include <regex>

#include "core/error.h"
#include "core/text.h"
#include "data/recognised.h"

namespace pathline::data {

namespace {

using core::ExitCode;

constexpr std::int64_t kLargestSide = 1 << 20;

/// "-1..1"
PixelRange range_of(const std::string& text, const std::string& path) {
  static const std::regex kRange("(-?[0-9]+(?:\\.[0-9]+)?)\\.\\.(-?[0-9]+(?:\\.[0-9]+)?)");
  std::smatch match;
  PixelRange range;
  const bool good = std::regex_match(text, match, kRange);
  if (good) range = {std::stod(match[1]), std::stod(match[2])};
  PL_CHECK(good && range.black < range.white, ExitCode::kUsage, path, " names the range of pixels \"", text,
           "\" (black..white belongs behind the @). Write it like @0..1 or @-1..1.");
  return range;
}

/// "3x32x32"
std::vector<std::int64_t> row_of(const std::string& text, const std::string& path) {
  static const std::regex kShape("[0-9]{1,7}(x[0-9]{1,7}){1,2}");
  std::vector<std::int64_t> row;
  if (std::regex_match(text, kShape)) {
    for (const std::string& size : core::split(text, 'x')) row.push_back(std::stoll(size));
  }
  const auto fits = [](std::int64_t size) { return size >= 1 && size <= kLargestSide; };
  PL_CHECK(!row.empty() && std::ranges::all_of(row, fits), ExitCode::kUsage, path, " says \"", text,
           "\" behind an @ (a range, a shape or a layout belongs there). Write it like @0..1, @28x28, @3x32x32, @nchw "
           "or @nhwc.");
  return row;
}

void add_detail(const std::string& text, const std::string& path, Selection& selection) {
  if (text == "nchw") {
    selection.layout = Layout::kChannelsFirst;
  } else if (text == "nhwc") {
    selection.layout = Layout::kChannelsLast;
  } else if (text.find("..") != std::string::npos) {
    selection.range = range_of(text, path);
  } else {
    selection.row = row_of(text, path);
  }
}

}  // namespace

std::pair<std::string, Selection> selected(const std::string& path) {
  const std::size_t at = path.rfind(":/");
  if (at == std::string::npos || std::filesystem::exists(path)) return {path, {}};
  std::vector<std::string> parts = core::split(path.substr(at + 1), '@');
  Selection selection;
  for (std::size_t i = 1; i < parts.size(); ++i) add_detail(parts[i], path, selection);
  const std::vector<std::string> both = core::split(parts[0], ',');
  selection.pixels = both[0];
  if (both.size() > 1) selection.labels = both[1];
  return {path.substr(0, at), selection};
}

}  // namespace pathline::data
