// SPDX-License-Identifier: Apache-2.0
#include "trainer/peak_rate.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <c10/core/ScalarType.h>

#include <algorithm>

#include "core/error.h"
#include "core/progress.h"
#include "trainer/gpu_versions.h"

namespace pathline::trainer {
namespace {

// Edges of the matrices. A core multiplies 512 x 512 within a time slice of a busy machine (3 ms) and as fast as larger
// ones; a GPU needs larger ones.
constexpr std::int64_t kHostEdge = 512, kDeviceEdge = 4096;

struct Published {
  std::string_view name;    // part of the driver's name; the first that fits counts
  double bf16, tf32, fp32;  // TFLOP/s, dense, as in the vendor's data sheets
};

constexpr Published kPublished[] = {
    {"H100 PCIe", 756, 378, 51}, {"H100 NVL", 835, 418, 60}, {"H200 NVL", 836, 418, 60}, {"H100", 989, 495, 67},
    {"H200", 989, 495, 67},      {"A100", 312, 156, 19.5},   {"B200", 2250, 1125, 75},
};

/// Reads one element back: the product is done then, on any device.
double seconds_of_product(const at::Tensor& a, const at::Tensor& b) {
  const double start = core::monotonic_seconds();
  static_cast<void>(at::mm(a, b).select(0, 0).select(0, 0).item<float>());
  return core::monotonic_seconds() - start;
}

}  // namespace

std::optional<double> published_peak(std::string_view device_name, std::string_view precision) {
  for (const Published& device : kPublished) {
    if (device_name.find(device.name) == std::string_view::npos) continue;
    if (precision == "bf16") return device.bf16 * 1e12;
    if (precision == "tf32") return device.tf32 * 1e12;
    PL_ASSERT(precision == "fp32");
    return device.fp32 * 1e12;
  }
  return std::nullopt;
}

double measured_peak(const std::string& precision, at::Device device, double seconds) {
  const at::NoGradGuard no_grad;
  const auto options = at::TensorOptions().dtype(precision == "bf16" ? at::kBFloat16 : at::kFloat).device(device);
  const std::int64_t edge = device.is_cpu() ? kHostEdge : kDeviceEdge;
  const at::Tensor a = at::full({edge, edge}, 0.5, options), b = at::full({edge, edge}, 0.25, options);
  const double start = core::monotonic_seconds();
  double fastest = seconds_of_product(a, b);  // the first one also warms up
  do {
    fastest = std::min(fastest, seconds_of_product(a, b));
  } while (core::monotonic_seconds() - start < seconds);
  return 2.0 * static_cast<double>(edge * edge * edge) / fastest;
}

double peak_of_ranks(const TrainOptions& train, at::Device device, cluster::Communicator& ranks, double seconds) {
  std::optional<double> peak;
  if (device.is_cuda())
    peak = published_peak(gpu_name(), train.precision == "fp32" && train.tf32 ? "tf32" : train.precision);
  if (!peak) {
    ranks.barrier();
    peak = measured_peak(train.precision, device, seconds);
  }
  ranks.all_reduce(std::span(&*peak, 1), cluster::Reduction::kSum);
  return *peak;
}

}  // namespace pathline::trainer
