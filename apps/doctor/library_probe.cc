// SPDX-License-Identifier: Apache-2.0
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/version.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "apps/doctor/probes.h"
#include "core/error.h"
#include "data/hdf5.h"
#include "launch/doctor/judge_libraries.h"
#include "launch/doctor/mpi_version.h"

namespace pathline::apps {
namespace {

using doctor::Version;

/// The library packs its version into one number: a byte each for major, minor and patch, from the top.
std::string loaded_torch() {
  const std::uint64_t packed = aoti_torch_abi_version();
  return core::concat(packed >> 56, ".", packed >> 48 & 255, ".", packed >> 40 & 255);
}

std::string file_of(const std::vector<std::string>& libraries, const std::string& name) {
  for (const auto& path : libraries) {
    if (path.find("/" + name) != std::string::npos) return path;
  }
  return "";
}

}  // namespace

std::vector<doctor::Line> look_at_libraries() {
  std::ifstream file("/proc/self/maps");
  std::ostringstream maps;
  maps << file.rdbuf();
  const auto libraries = doctor::mapped_libraries(maps.str());
  const char* preload = std::getenv("LD_PRELOAD");

  Version mpi = doctor::mpi_version();
  mpi.where = file_of(libraries, "libmpi");
  const Version torch{"LibTorch", TORCH_VERSION, loaded_torch(), 3, file_of(libraries, "libtorch_cpu.so")};
  const Version hdf5{"HDF5", data::hdf5::built_version(), data::hdf5::loaded_version(), 3,
                     file_of(libraries, "libhdf5")};
  std::vector<doctor::Line> lines{doctor::judge_loaded(libraries, preload ? preload : ""), doctor::judge_version(mpi),
                                  doctor::judge_version(torch), doctor::judge_version(hdf5)};
  for (auto& line : look_at_gpu_libraries()) lines.push_back(std::move(line));
  return lines;
}

}  // namespace pathline::apps
