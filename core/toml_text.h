// SPDX-License-Identifier: Apache-2.0
// Values written as TOML, so that reading the text gives the same value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pathline::core {

std::string toml_text(bool value);
std::string toml_text(std::int64_t value);
/// The shortest text that reads back as the same double, always recognisable as one: "1.0", "2e-4", "inf".
std::string toml_text(double value);
std::string toml_text(const std::string& value);

template <class T>
std::string toml_text(const std::vector<T>& values) {
  std::string text = "[";
  for (const T& value : values) text += (text.size() > 1 ? ", " : "") + toml_text(value);
  return text + "]";
}

}  // namespace pathline::core
