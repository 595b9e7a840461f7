// SPDX-License-Identifier: Apache-2.0
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <exception>
#include <optional>
#include <string>

#include "core/error.h"
#include "trainer/slice_graph.h"

namespace pathline::trainer {
namespace {

constexpr int kWarmUps = 2;  // lets cuBLAS and cuDNN choose their kernels and allocate before the capture

class CudaSliceGraph final : public SliceGraph {
 public:
  CudaSliceGraph(const TwoPartObjective& objective, model::Module& model, double share) : objective_(objective) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(device_of(model));
    share_ = at::scalar_tensor(share, options);
    for (const auto& parameter : model.parameters()) parameters_.push_back(parameter.tensor);
  }

  at::Tensor run(const Question& question) override {
    if (!input_) capture(question);
    PL_ASSERT(question.x.sizes() == input_->x.sizes());
    input_->x.copy_(question.x);
    input_->t.copy_(question.t);
    input_->target.copy_(question.target);
    input_->weight.copy_(question.weight);
    if (input_->condition.labels.defined()) input_->condition.labels.copy_(question.condition.labels);
    if (input_->condition.known.defined()) input_->condition.known.copy_(question.condition.known);
    if (input_->condition.text.defined()) input_->condition.text.copy_(question.condition.text);
    if (input_->condition.pooled.defined()) input_->condition.pooled.copy_(question.condition.pooled);
    graph_.replay();
    return losses_.clone();
  }

  const std::vector<at::Tensor>& gradients() const override { return gradients_; }

 private:
  /// Gradients by value, not into .grad: there no hook takes them away.
  void compute() {
    const at::Tensor losses = objective_.loss_of(*input_);
    gradients_ = torch::autograd::grad({losses.sum()}, parameters_, {share_}, /*retain_graph=*/false,
                                       /*create_graph=*/false, /*allow_unused=*/true);
    losses_ = losses.detach();
  }

  /// On a stream of its own, as captures must be. Other threads (NCCL's, the loader's) go on meanwhile.
  void capture(const Question& question) {
    input_ = question;
    for (at::Tensor* tensor : {&input_->x, &input_->t, &input_->target, &input_->weight, &input_->condition.labels,
                               &input_->condition.known, &input_->condition.text, &input_->condition.pooled}) {
      if (tensor->defined()) *tensor = tensor->clone();
    }
    c10::cuda::device_synchronize();
    const c10::cuda::CUDAStreamGuard stream(c10::cuda::getStreamFromPool());
    for (int n = 0; n < kWarmUps; ++n) compute();
    gradients_.clear();
    losses_ = at::Tensor();
    c10::cuda::device_synchronize();
    try {
      graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      compute();
      graph_.capture_end();
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const std::exception& error) {
      const std::string text = error.what();
      throw core::Error(core::ExitCode::kUsage,
                        core::concat("train.cuda_graph = true, but a slice of this recipe cannot be captured (",
                                     text.substr(0, text.find('\n')), "). Leave it away."));
    }
    c10::cuda::device_synchronize();
  }

  const TwoPartObjective& objective_;
  at::Tensor share_;
  std::vector<at::Tensor> parameters_;
  std::optional<Question> input_;  // tensors that the graph reads
  at::Tensor losses_;              // and those it writes
  std::vector<at::Tensor> gradients_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<SliceGraph> make_slice_graph(const TwoPartObjective& objective, model::Module& model, double share) {
  PL_CHECK(device_of(model).is_cuda(), core::ExitCode::kUsage,
           "train.cuda_graph = true, but this rank computes on the processor. Leave it away, or use a GPU "
           "(run.device).");
  PL_CHECK(model.options().dropout == 0.0, core::ExitCode::kUsage,
           "train.cuda_graph = true with model.dropout = ", model.options().dropout,
           " (a captured pass would repeat one mask). Use one of the two.");
  return std::make_unique<CudaSliceGraph>(objective, model, share);
}

}  // namespace pathline::trainer
