// SPDX-License-Identifier: Apache-2.0
#include "trainer/host_backend.h"

#include "core/error.h"
#include "trainer/gradient_kernels.h"

namespace pathline::trainer {
namespace {

/// On the host everything is done when the call returns.
class Done final : public ComputeMark {
 public:
  void before_reductions() override {}
};

class HostBackend final : public Backend {
 public:
  explicit HostBackend(cluster::Communicator& ranks) : ranks_(cluster::duplicate(ranks)) {}

  at::Device device() const override { return at::kCPU; }
  cluster::Communicator& array_ranks() override { return *ranks_; }
  cluster::ArrayMath& math() override { return cluster::host_array_math(); }
  std::unique_ptr<ComputeMark> mark_compute() override { return std::make_unique<Done>(); }
  void compute_after_reductions() override {}
  const UpdateKernels& kernels() const override { return kHostKernels; }

  void take_gradient(const at::Tensor& gradient, const at::Tensor& into, bool add) override {
    const auto elements = static_cast<std::size_t>(gradient.numel());
    PL_ASSERT(gradient.is_contiguous() && into.numel() == gradient.numel());
    float* sum = into.mutable_data_ptr<float>();
    if (gradient.scalar_type() == at::kFloat) {
      take_fp32(elements, gradient.const_data_ptr<float>(), add, sum);
    } else {
      PL_ASSERT(gradient.scalar_type() == at::kBFloat16);
      take_bf16(elements, static_cast<const std::uint16_t*>(gradient.const_data_ptr()), add, sum);
    }
  }

 private:
  std::unique_ptr<cluster::Communicator> ranks_;
};

}  // namespace

std::unique_ptr<Backend> make_host_backend(cluster::Communicator& ranks) {
  return std::make_unique<HostBackend>(ranks);
}

}  // namespace pathline::trainer
