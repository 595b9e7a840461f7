// SPDX-License-Identifier: Apache-2.0
#include "trainer/kernel_fingerprint.h"

#include <ATen/Version.h>
#include <torch/version.h>

#include "core/error.h"

namespace pathline::trainer {

std::map<std::string, std::string> library_versions() {
  return {{"torch", TORCH_VERSION}, {"oneDNN", at::get_mkldnn_version()}, {"MKL", at::get_mkl_version()}};
}

std::string kernel_fingerprint() {
  std::string text = "cpu " + at::get_cpu_capability();
  for (const auto& [library, version] : library_versions()) text += "; " + library + " " + version;
  return text;
}

}  // namespace pathline::trainer
