// SPDX-License-Identifier: Apache-2.0
#include "trainer/kernel_fingerprint.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include "trainer/gpu_versions.h"

namespace pathline::trainer {

std::map<std::string, std::string> library_versions(const std::string& device) {
  if (!means_gpu(device)) {
    return {{"torch", TORCH_VERSION}, {"oneDNN", at::get_mkldnn_version()}, {"MKL", at::get_mkl_version()}};
  }
  std::map<std::string, std::string> versions = gpu_library_versions();
  versions["torch"] = TORCH_VERSION;
  return versions;
}

std::string kernel_fingerprint(const std::string& device) {
  std::string text = means_gpu(device) ? "gpu " + gpu_name() : "cpu " + at::get_cpu_capability();
  for (const auto& [library, version] : library_versions(device)) text += "; " + library + " " + version;
  return text;
}

}  // namespace pathline::trainer
