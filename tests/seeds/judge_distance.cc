// SPDX-License-Identifier: Apache-2.0
// judge_distance SET.h5 TEACHER.h5 BAR: root mean square distance of samples with the same number; exit code 1 above
// BAR.
#include <ATen/TensorOperators.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/file_system.h"
#include "sampler/set_rows.h"

int main(int argc, char** argv) {
  using namespace pathline;
  if (argc != 4) {
    std::fprintf(stderr, "judge_distance SET.h5 TEACHER.h5 BAR\n");
    return 2;
  }
  core::PosixFileSystem files;
  const auto points_of = [&](const char* path) {
    const sampler::SetRows rows = sampler::open_rows(files, path);
    return rows.read(0, rows.count).to(at::kDouble);
  };
  const at::Tensor gap = points_of(argv[1]) - points_of(argv[2]);  // (n, 2)
  const double rms = std::sqrt(gap.square().sum(1).mean().item<double>()), bar = std::atof(argv[3]);
  std::printf("RMS distance %.5f of %lld samples (bar %.3f): %s\n", rms, static_cast<long long>(gap.size(0)), bar,
              rms <= bar ? "pass" : "FAIL");
  return rms <= bar ? 0 : 1;
}
