// SPDX-License-Identifier: Apache-2.0
// How fast batches come from a data set, beside what the machine can do at most: a plain loop of as many threads that
// reads the same images in random order and turns bytes into numbers, or that inflates the same chunks from memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pathline::apps {

struct LoaderBenchmark {
  std::string path;  // one HDF5 file of images
  int threads = 2;
  int rounds = 5;
  double seconds = 1;  // of each measurement in each round
  std::int64_t batch = 256;
  bool bytes = false;  // batches of bytes, as for a GPU, not of numbers
  double decoded_mb = 1024;  // as data.decoded_mb
  bool cold = false;         // the file is dropped from the page cache before each measurement
};

/// Images a second of each round.
struct LoaderRates {
  std::string how;            // the file is read
  std::int64_t image_bytes = 0;
  std::vector<double> loader;
  std::vector<double> bound;    // the plain loop; inflating from memory where chunks are deflated
  std::vector<double> library;  // random H5Dread, one image a call
  std::int64_t lanes = 0;       // 0: samples in any order
};

/// Throws ExitCode::kInput for a file that is no set of images.
LoaderRates benchmark_loader(const LoaderBenchmark& wanted);

}  // namespace pathline::apps
