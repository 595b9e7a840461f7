// SPDX-License-Identifier: Apache-2.0
// The cosine path as a table in a file.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "flow/path.h"

namespace pathline::tests {

/// "table:FILE", the file of this process alone.
inline std::string cosine_table() {
  const auto file =
      std::filesystem::path(testing::TempDir()) / ("pathline_cosine_path_" + std::to_string(::getpid()) + ".txt");
  std::ofstream out(file);
  out << "# t a s\n\n";
  out.precision(17);
  for (int i = 0; i <= 200; ++i) {
    const flow::PathPoint p = flow::Path::parse("cosine").at(i / 200.0);
    out << i / 200.0 << " " << p.a << " " << p.s << "\n";
  }
  return "table:" + file.string();
}

}  // namespace pathline::tests
