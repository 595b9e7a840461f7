// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include <cstdio>

#include "core/cuda_error.h"
#include "sampler/compute_device.h"

namespace pathline::sampler {
namespace {

/// As nvidia-smi -L writes it.
std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    char digits[3] = "";
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(uuid.bytes[i]));
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

}  // namespace

std::vector<std::string> visible_gpus() {
  std::vector<std::string> gpus;
  for (int i = 0; i < usable_gpus(); ++i) {
    cudaDeviceProp properties{};
    core::check_cuda(cudaGetDeviceProperties(&properties, i), "asking for a GPU's properties");
    gpus.push_back(uuid_text(properties.uuid));
  }
  return gpus;
}

}  // namespace pathline::sampler
