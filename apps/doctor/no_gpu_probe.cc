// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include "apps/doctor/probes.h"

namespace pathline::apps {

std::vector<doctor::Line> look_at_devices(const std::string& device, int, const std::vector<sampler::RankDevices>&) {
  if (device == "cuda") {
    return {
        doctor::broken("devices", "the recipe says run.device = \"cuda\", but this program is built without CUDA",
                       "build where nvcc and a CUDA build of torch are (docs/gpu.md), or set run.device = \"cpu\"")};
  }
  if (::access("/dev/nvidia0", F_OK) == 0) {
    return {doctor::slow("devices", "this machine has a GPU, but this program is built without CUDA",
                         "build where nvcc and a CUDA build of torch are (docs/gpu.md)")};
  }
  return {doctor::good("devices", "the processor; no GPU here")};
}

std::vector<doctor::Line> time_device_all_reduce(const std::string&, std::unique_ptr<cluster::Communicator>, double) {
  return {};
}

std::vector<doctor::Line> look_at_gpu_libraries() { return {}; }

}  // namespace pathline::apps
