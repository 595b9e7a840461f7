// SPDX-License-Identifier: Apache-2.0
#include "launch/shell.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "core/error.h"

namespace pathline::launch {
namespace {

/// What a shell makes of `words` in one line: each followed by a zero byte.
std::string read_by_a_shell(const std::vector<std::string>& words) {
  const std::string command = "printf '%s\\0' " + shell_words(words);
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  for (int c; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  ::pclose(pipe);
  return output;
}

TEST(Shell, ReadsEveryWordAsItWas) {
  const std::vector<std::string> words = {
      "plain-1.0/x_y:z,@%+=", "two words", "it's", "\"$HOME\"", "`id`", "a\\b", "", "*", "#no", "new\nline", "~", "!x",
      "&;|<>(){}[]",          "é"};
  std::string expected;
  for (const auto& word : words) expected += word + '\0';
  EXPECT_EQ(read_by_a_shell(words), expected);
}

TEST(Shell, LeavesPlainWordsReadable) { EXPECT_EQ(shell_words({"mpirun", "-n", "2", "a b"}), "mpirun -n 2 'a b'"); }

TEST(Sbatch, QuotesWhatWouldEndAValueAndRefusesLineBreaks) {
  EXPECT_EQ(sbatch_value("%x_%j.out", "output"), "%x_%j.out");
  EXPECT_EQ(sbatch_value("a b\"c\\", "output"), "\"a b\\\"c\\\\\"");
  EXPECT_THROW(sbatch_value("a\nb", "output"), core::Error);
}

}  // namespace
}  // namespace pathline::launch
