// SPDX-License-Identifier: Apache-2.0
// Small text functions for messages and options.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pathline::core {

/// "a, b and c"; empty for an empty list.
std::string listed(std::span<const std::string> items);

/// The candidate with the fewest single-letter edits to `name`; empty if there are no candidates.
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

/// Text cut at every `separator`; "" gives an empty list.
std::vector<std::string> split(std::string_view text, char separator);

/// "1.50 GiB", "312 KiB", "17 B".
std::string human_bytes(std::uint64_t bytes);

/// "2 h 03 min", "4 min 10 s", "0.35 s".
std::string human_seconds(double seconds);

/// Whole text as a number; the error (ExitCode::kUsage) names `what`.
std::int64_t parse_integer(std::string_view text, std::string_view what);
double parse_number(std::string_view text, std::string_view what);

/// The paths matching a shell pattern, sorted; a path without wildcards is returned as it is.
std::vector<std::string> expand_pattern(const std::string& pattern);

}  // namespace pathline::core
