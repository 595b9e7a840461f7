// SPDX-License-Identifier: Apache-2.0
// The binary versions of CIFAR-10 and CIFAR-100.
#include "tests/fuzz/pictures.h"

namespace pathline::fuzz {

std::vector<Bytes> seeds() {
  std::vector<Bytes> made;
  for (const std::size_t labels : {1, 2}) {
    Bytes file;
    for (std::uint8_t i = 0; i < 3; ++i) {
      file.insert(file.end(), labels, i);
      file.insert(file.end(), 3072, static_cast<std::uint8_t>(50 * i));
    }
    made.push_back(file);
    made.push_back(gzipped(file));
  }
  return made;
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return pathline::fuzz::import_bytes("data_batch_1.bin", data, size);
}
