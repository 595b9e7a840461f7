// SPDX-License-Identifier: Apache-2.0
// What the bits depend on beside recipe and data: instruction set, LibTorch and the libraries in it.
#pragma once

#include <map>
#include <string>

namespace pathline::trainer {

/// "cpu AVX512; torch 2.13.0; oneDNN 3.12.0; MKL ...".
std::string kernel_fingerprint();
std::map<std::string, std::string> library_versions();

}  // namespace pathline::trainer
