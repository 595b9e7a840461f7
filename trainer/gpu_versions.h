// SPDX-License-Identifier: Apache-2.0
// What computes on this rank's GPU. gpu_versions.cc; no_gpu_versions.cc where the build has no CUDA.
#pragma once

#include <map>
#include <string>

namespace pathline::trainer {

/// Whether run.device = `kind` means a GPU here.
bool means_gpu(const std::string& kind);

/// "NVIDIA H200 (sm_90)", of the current device.
std::string gpu_name();

/// Of the libraries with kernels: cuDNN, cuBLAS.
std::map<std::string, std::string> gpu_library_versions();

}  // namespace pathline::trainer
