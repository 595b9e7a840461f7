// SPDX-License-Identifier: Apache-2.0
#include "sampler/slot_engine.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/progress.h"

namespace pathline::sampler {

template <class State>
SlotEngine<State>::SlotEngine(GuidedField field, const MethodMaker<State>& make_method,
                              std::vector<std::int64_t> sample_shape, std::int64_t slots, bool labelled)
    : field_(std::move(field)), slots_(slots) {
  PL_CHECK(slots > 0, core::ExitCode::kUsage, "slots is ", slots, "; a batch needs at least 1.");
  shape_.push_back(slots);
  for (const std::int64_t extent : sample_shape) {
    shape_.push_back(extent);
    elements_ *= extent;
  }
  PL_ASSERT(elements_ > 0);
  for (std::int64_t s = 0; s < slots; ++s) slot_.emplace_back().method = make_method();
  const at::TensorOptions type = at::TensorOptions().dtype(c10::CppTypeToScalarType<State>::value);
  input_ = at::zeros(shape_, type);
  times_ = at::zeros({slots}, type);
  weights_ = at::ones({slots}, at::kFloat);
  if (labelled) labels_ = at::zeros({slots}, at::kLong);
}

template <class State>
Work SlotEngine<State>::run(const std::function<std::optional<Start>()>& next,
                            const std::function<void(Finish&&)>& emit) {
  const at::NoGradGuard no_grad;
  work_ = {};
  bool more = true;
  const auto refill = [&](std::int64_t s) {
    std::optional<Start> start;
    if (more) start = next();
    more = more && start.has_value();
    if (start) fill(s, *start);
    return start.has_value();
  };
  std::int64_t busy = 0;
  for (std::int64_t s = 0; s < slots_; ++s) busy += refill(s);

  constexpr std::int64_t kElementsWorthAThread = 16384;
  const std::int64_t grain = std::max<std::int64_t>(1, kElementsWorthAThread / elements_);
  while (busy > 0) {
    const double begin = core::monotonic_seconds();
    const at::Tensor v = field_(input_, times_, labels_, weights_).to(input_.options()).contiguous();
    work_.field_seconds += core::monotonic_seconds() - begin;
    PL_ASSERT(v.size(0) == slots_ && v.numel() % input_.numel() == 0);
    const auto outputs = static_cast<std::size_t>(v.numel() / slots_);
    const State* values = v.template const_data_ptr<State>();
    // Rows are independent: threads change no bit.
    at::parallel_for(0, slots_, grain, [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t s = from; s < to; ++s) {
        if (slot_[s].busy) advance(s, {values + static_cast<std::size_t>(s) * outputs, outputs});
      }
    });
    work_.ticks += 1;
    work_.useful += busy;
    for (std::int64_t s = 0; s < slots_; ++s) {
      if (!slot_[s].busy || slot_[s].outcome == Outcome::kRunning) continue;
      emit(take(s));
      empty(s);
      if (!refill(s)) --busy;
    }
  }
  return work_;
}

template <class State>
std::span<State> SlotEngine<State>::input_row(std::int64_t s) {
  const auto n = static_cast<std::size_t>(elements_);
  return {input_.template mutable_data_ptr<State>() + static_cast<std::size_t>(s) * n, n};
}

/// One pass over a row's registers: what came back goes in, what is asked next comes out.
template <class State>
void SlotEngine<State>::advance(std::int64_t s, std::span<const State> value) {
  Slot& slot = slot_[s];
  slot.nfe += passes_with(weights_.const_data_ptr<float>()[s]);
  slot.outcome = slot.method->absorb(value);
  if (slot.outcome == Outcome::kRunning) plan(s);
}

template <class State>
void SlotEngine<State>::plan(std::int64_t s) {
  Slot& slot = slot_[s];
  const Evaluation next = slot.method->plan(input_row(s));
  times_.template mutable_data_ptr<State>()[s] = static_cast<State>(next.t);
  weights_.mutable_data_ptr<float>()[s] = next.guided ? static_cast<float>(slot.guidance) : 1.0f;
}

template <class State>
void SlotEngine<State>::fill(std::int64_t s, const Start& start) {
  Slot& slot = slot_[s];
  slot.busy = true;
  slot.id = start.id;
  slot.guidance = start.guidance;
  slot.nfe = 0;
  slot.outcome = Outcome::kRunning;
  const at::Tensor x = start.x.contiguous();
  PL_ASSERT(x.numel() == elements_);
  if (labels_.defined()) labels_.mutable_data_ptr<std::int64_t>()[s] = start.label;
  slot.method->start(start.id, {x.template const_data_ptr<State>(), static_cast<std::size_t>(elements_)});
  plan(s);
}

/// Zeros: an empty slot is evaluated like any other and must not raise anything.
template <class State>
void SlotEngine<State>::empty(std::int64_t s) {
  slot_[s].busy = false;
  std::ranges::fill(input_row(s), State{0});
  times_.template mutable_data_ptr<State>()[s] = 0;
  weights_.mutable_data_ptr<float>()[s] = 1.0f;
  if (labels_.defined()) labels_.mutable_data_ptr<std::int64_t>()[s] = 0;
}

template <class State>
Finish SlotEngine<State>::take(std::int64_t s) {
  const Slot& slot = slot_[s];
  const std::vector<std::int64_t> shape(shape_.begin() + 1, shape_.end());
  at::Tensor x = at::zeros(shape, input_.options());
  if (!failed(slot.outcome)) std::ranges::copy(slot.method->state(), x.template mutable_data_ptr<State>());
  return {slot.id,     std::move(x), slot.nfe, slot.method->rejected_steps(), slot.method->noise_floor_steps(),
          slot.outcome};
}

template class SlotEngine<float>;
template class SlotEngine<double>;

}  // namespace pathline::sampler
