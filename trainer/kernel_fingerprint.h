// SPDX-License-Identifier: Apache-2.0
// What the bits depend on beside recipe and data: instruction set or GPU, LibTorch and the libraries in it.
#pragma once

#include <map>
#include <string>

namespace pathline::trainer {

/// "cpu AVX512; torch 2.13.0; oneDNN 3.12.0; MKL ...", or "gpu NVIDIA H200 (sm_90); torch 2.13.0; cuDNN ...". `device`
/// is run.device.
std::string kernel_fingerprint(const std::string& device);
std::map<std::string, std::string> library_versions(const std::string& device);

}  // namespace pathline::trainer
