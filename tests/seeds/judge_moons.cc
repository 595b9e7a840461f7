// SPDX-License-Identifier: Apache-2.0
// judge_moons SET.h5 REFERENCE.h5 ENERGY_BAR: prints the verdict; exit code 1 where the set does not pass.
#include <cstdio>
#include <cstdlib>

#include "core/file_system.h"
#include "sampler/set_rows.h"
#include "tests/seeds/moons_verdict.h"

int main(int argc, char** argv) {
  using namespace pathline;
  if (argc != 4) {
    std::fprintf(stderr, "judge_moons SET.h5 REFERENCE.h5 ENERGY_BAR\n");
    return 2;
  }
  core::PosixFileSystem files;
  const auto points_of = [&](const char* path) {
    const sampler::SetRows rows = sampler::open_rows(files, path);
    return rows.read(0, rows.count);
  };
  const double bar = std::atof(argv[3]);
  const tests::MoonsVerdict verdict = tests::judge_moons(points_of(argv[1]), points_of(argv[2]));
  std::printf("energy %.5f (bar %.3f, floor %.5f), unlikely %.1f %% (bar %.0f %%): %s\n", verdict.energy, bar,
              verdict.floor, 100 * verdict.share, 100 * tests::kShareBar, verdict.holds(bar) ? "pass" : "FAIL");
  return verdict.holds(bar) ? 0 : 1;
}
