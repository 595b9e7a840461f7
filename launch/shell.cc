// SPDX-License-Identifier: Apache-2.0
#include "launch/shell.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/error.h"

namespace pathline::launch {
namespace {

bool plain(const std::string& text, std::string_view also) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || also.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string shell_word(const std::string& text) {
  if (plain(text, "_-./:,@%+=")) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? "'\\''" : std::string(1, c);
  return word + "'";
}

std::string shell_words(const std::vector<std::string>& words) {
  std::string line;
  for (const auto& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

std::string sbatch_value(const std::string& text, const std::string& what) {
  PL_CHECK(text.find('\n') == std::string::npos, core::ExitCode::kUsage, what,
           " holds a line break (an #SBATCH line is one line). Remove it.");
  if (plain(text, "_-./:,@%+=[]*&|()")) return text;
  std::string value = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') value += '\\';
    value += c;
  }
  return value + "\"";
}

}  // namespace pathline::launch
