// SPDX-License-Identifier: Apache-2.0
//
// Note [Gradients of a block computed again]
// The inputs are detached, so that differentiating the second computation stops at them; the parameters are the leaves
// themselves, which torch::autograd::grad reads from without adding to their .grad. What it returns leaves the node as
// the gradients of its arguments, and the outer backward pass accumulates them as it does without checkpointing.
// Bits stay as they are if an input's gradient is one sum: where a block uses an input more than once, autograd must
// meet these uses at one node inside the block (see ResidualBlock), not at a node outside that others add to as well.
#include "model/recompute.h"

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace pathline::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct HeldBlock : torch::CustomClassHolder {
  HeldBlock(BlockFunction call, std::size_t count) : block(std::move(call)), inputs(count) {}
  BlockFunction block;
  std::size_t inputs;  // the first of the saved tensors; the others are parameters
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<HeldBlock>& held,
                            const at::TensorList& inputs, const at::TensorList& parameters) {
    variable_list saved = inputs.vec();
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["block"] = c10::IValue::make_capsule(held);
    return held->block(inputs);  // autograd does not record here
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    PL_CHECK(!at::GradMode::is_enabled(), core::ExitCode::kUsage,
             "second derivatives of a block that is computed again are not available (activation checkpointing gives "
             "first derivatives only). Use train.activation_checkpointing = \"none\".");
    const auto held = c10::static_intrusive_pointer_cast<HeldBlock>(context->saved_data["block"].toCapsule());
    variable_list tensors = context->get_saved_variables();
    for (std::size_t i = 0; i < held->inputs; ++i) {
      tensors[i] = tensors[i].detach().set_requires_grad(tensors[i].requires_grad());
    }
    std::vector<std::size_t> places;  // of what a gradient is asked for
    variable_list leaves;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (!context->needs_input_grad(i)) continue;
      places.push_back(i);
      leaves.push_back(tensors[i]);
    }
    const variable_list found = differentiate(*held, tensors, leaves, gradients);
    variable_list results(1 + tensors.size());  // none for the block itself
    for (std::size_t i = 0; i < places.size(); ++i) results[1 + places[i]] = found[i];
    return results;
  }

 private:
  static variable_list differentiate(const HeldBlock& held, const variable_list& tensors, const variable_list& leaves,
                                     const variable_list& gradients) {
    const at::AutoGradMode recording(true);
    const at::Tensor out = held.block(at::TensorList(tensors).slice(0, held.inputs));
    return torch::autograd::grad({out}, leaves, gradients, /*retain_graph=*/false, /*create_graph=*/false,
                                 /*allow_unused=*/true);
  }
};

}  // namespace

std::int64_t parse_activation_checkpointing(const std::string& text) {
  if (text == "none") return 0;
  if (text == "all") return 1;
  const std::string prefix = "every:";
  const bool counts = text.starts_with(prefix) && text.size() > prefix.size() && text.size() < prefix.size() + 10 &&
                      text.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
  const std::int64_t every = counts ? std::stoll(text.substr(prefix.size())) : 0;
  PL_CHECK(
      every > 0, core::ExitCode::kUsage, "train.activation_checkpointing = \"", text,
      "\" is not offered (it says which blocks are computed again in the backward pass). Use \"none\", \"all\", or "
      "\"every:2\" for every second block.");
  return every;
}

at::Tensor recomputed(BlockFunction block, at::TensorList inputs, const std::vector<at::Tensor>& parameters) {
  if (!at::GradMode::is_enabled()) return block(inputs);
  const auto held = c10::make_intrusive<HeldBlock>(std::move(block), inputs.size());
  return Recomputed::apply(held, inputs, at::TensorList(parameters));
}

}  // namespace pathline::model
