// SPDX-License-Identifier: Apache-2.0
#include "sampler/slot_engine.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "sampler/row_math.h"
#include "sampler/step_control.h"

namespace pathline::sampler {
namespace {

void check(const SolverOptions& options, const Tableau& tableau) {
  constexpr auto kUsage = core::ExitCode::kUsage;
  PL_CHECK(std::isfinite(options.t0) && std::isfinite(options.t1) && options.t0 != options.t1, kUsage,
           "integration from t = ", options.t0, " to t = ", options.t1, " is no interval. Give two different times.");
  if (tableau.adaptive()) {
    PL_CHECK(options.rtol >= 0 && options.atol > 0 && std::isfinite(options.rtol + options.atol), kUsage,
             "rtol = ", options.rtol, " and atol = ", options.atol,
             " are no tolerances (steps are chosen by them). rtol must be at least 0 and atol positive.");
    PL_CHECK(options.max_steps > 0, kUsage, "max_steps is ", options.max_steps, "; it must be at least 1.");
  } else {
    PL_CHECK(options.steps > 0, kUsage, "steps is ", options.steps, "; solver ", tableau.name, " needs at least 1.");
  }
}

}  // namespace

template <class State>
SlotEngine<State>::SlotEngine(CostedField field, const SolverOptions& options, std::vector<std::int64_t> sample_shape,
                              std::int64_t slots, bool labelled)
    : field_(std::move(field)),
      options_(options),
      tableau_(find_tableau(options.solver)),
      fsal_(tableau_.fsal()),
      slots_(slots),
      slot_(static_cast<std::size_t>(std::max<std::int64_t>(slots, 0))) {
  PL_CHECK(slots > 0, core::ExitCode::kUsage, "slots is ", slots, "; a batch needs at least 1.");
  check(options_, tableau_);
  shape_.push_back(slots);
  for (const std::int64_t extent : sample_shape) {
    shape_.push_back(extent);
    elements_ *= extent;
  }
  PL_ASSERT(elements_ > 0);
  const auto total = static_cast<std::size_t>(slots * elements_);
  y_.resize(total);
  y_new_.resize(total);
  k_.assign(static_cast<std::size_t>(tableau_.stages()), std::vector<State>(total));
  const at::TensorOptions type = at::TensorOptions().dtype(c10::CppTypeToScalarType<State>::value);
  input_ = at::zeros(shape_, type);
  times_ = at::zeros({slots}, type);
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

  const auto each_slot = [&](const auto& body) {  // rows are independent: threads change no bit
    at::parallel_for(0, slots_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) {
        if (slot_[s].phase != Phase::kEmpty) body(s);
      }
    });
  };
  while (busy > 0) {
    each_slot([&](std::int64_t s) { build_input(s); });
    const at::Tensor v = field_.field(input_, times_, labels_).to(input_.options()).contiguous();
    PL_ASSERT(v.sizes() == input_.sizes());
    const State* slopes = v.template const_data_ptr<State>();
    each_slot([&](std::int64_t s) { absorb(s, slopes + s * elements_); });
    work_.ticks += 1;
    work_.useful += busy;
    for (std::int64_t s = 0; s < slots_; ++s) {
      if (slot_[s].phase != Phase::kDone && slot_[s].phase != Phase::kFailed) continue;
      emit(take(s));
      empty(s);
      if (!refill(s)) --busy;
    }
  }
  return work_;
}

template <class State>
void SlotEngine<State>::fill(std::int64_t s, const Start& start) {
  Slot& slot = slot_[s] = Slot{};
  slot.phase = tableau_.adaptive() ? Phase::kFirstSlope : Phase::kStage;
  slot.id = start.id;
  slot.t = options_.t0;
  const at::Tensor x = start.x.contiguous();
  PL_ASSERT(x.numel() == elements_);
  std::copy_n(x.template const_data_ptr<State>(), elements_, row(y_, s));
  if (labels_.defined()) labels_.mutable_data_ptr<std::int64_t>()[s] = start.label;
  if (!tableau_.adaptive()) begin_step(s);
}

/// Zeros: an empty slot is evaluated like any other and must not raise anything.
template <class State>
void SlotEngine<State>::empty(std::int64_t s) {
  slot_[s] = Slot{};
  std::fill_n(input_.template mutable_data_ptr<State>() + s * elements_, elements_, State{0});
  times_.template mutable_data_ptr<State>()[s] = 0;
  if (labels_.defined()) labels_.mutable_data_ptr<std::int64_t>()[s] = 0;
}

template <class State>
Finish SlotEngine<State>::take(std::int64_t s) {
  const Slot& slot = slot_[s];
  const bool failed = slot.phase == Phase::kFailed;
  const std::vector<std::int64_t> shape(shape_.begin() + 1, shape_.end());
  at::Tensor x = at::zeros(shape, input_.options());
  if (!failed) std::copy_n(row(y_, s), elements_, x.template mutable_data_ptr<State>());
  return {slot.id, std::move(x), slot.nfe, slot.rejected, failed};
}

template <class State>
std::vector<const State*> SlotEngine<State>::slopes_of(std::int64_t s) {
  std::vector<const State*> slopes;
  for (std::vector<State>& k : k_) slopes.push_back(row(k, s));
  return slopes;
}

template <class State>
void SlotEngine<State>::build_input(std::int64_t s) {
  const Slot& slot = slot_[s];
  State* input = input_.template mutable_data_ptr<State>() + s * elements_;
  State& time = times_.template mutable_data_ptr<State>()[s];
  const std::vector<const State*> k = slopes_of(s);
  if (slot.phase == Phase::kProbe) {
    constexpr std::array<double, 1> kEuler = {1.0};
    advance_row<State>(row(y_, s), slot.dt, kEuler, k.data(), elements_, input);
    time = static_cast<State>(slot.t + slot.dt);
    return;
  }
  const double c = tableau_.c[slot.stage];
  advance_row<State>(row(y_, s), slot.dt, tableau_.a[slot.stage], k.data(), elements_, input);
  time = static_cast<State>(c == 1.0 ? slot.t_end : slot.t + c * slot.dt);
}

template <class State>
void SlotEngine<State>::absorb(std::int64_t s, const State* slopes) {
  Slot& slot = slot_[s];
  // The probe's slope uses the place that stage 1 fills next.
  std::copy_n(slopes, elements_, row(k_[slot.phase == Phase::kProbe ? 1 : slot.stage], s));
  slot.nfe += field_.passes;
  if (slot.phase == Phase::kFirstSlope) {
    plan_probe(s);
  } else if (slot.phase == Phase::kProbe) {
    plan_first_step(s);
  } else if (++slot.stage == tableau_.stages()) {
    finish_step(s);
  }
}

template <class State>
void SlotEngine<State>::plan_probe(std::int64_t s) {
  Slot& slot = slot_[s];
  const State* y = row(y_, s);
  const State* k = row(k_[0], s);
  const auto norm = [&](const State* values) {
    return scaled_norm(y, elements_, options_.rtol, options_.atol,
                       [&](std::size_t i) { return static_cast<double>(values[i]); });
  };
  slot.slope_norm = norm(k);
  slot.dt = std::copysign(probe_step(norm(y), slot.slope_norm), options_.t1 - options_.t0);
  slot.phase = std::isfinite(slot.slope_norm) && std::isfinite(slot.dt) ? Phase::kProbe : Phase::kFailed;
}

template <class State>
void SlotEngine<State>::plan_first_step(std::int64_t s) {
  Slot& slot = slot_[s];
  const State* first = row(k_[0], s);
  const State* second = row(k_[1], s);
  const double change = scaled_norm(row(y_, s), elements_, options_.rtol, options_.atol, [&](std::size_t i) {
    return static_cast<double>(second[i]) - static_cast<double>(first[i]);
  });
  const double h0 = std::abs(slot.dt);
  slot.dt = std::copysign(first_step(h0, slot.slope_norm, change / h0, tableau_.order), slot.dt);
  slot.phase = Phase::kStage;
  slot.stage = 1;
  if (std::isfinite(change)) {
    begin_step(s);
  } else {
    slot.phase = Phase::kFailed;
  }
}

/// Fixes where the next step ends. `dt` is the wish of the step control, or nothing for fixed steps.
template <class State>
void SlotEngine<State>::begin_step(std::int64_t s) {
  Slot& slot = slot_[s];
  if (!tableau_.adaptive()) {
    slot.t_end = grid_time(slot.steps + 1);
  } else {
    if (slot.steps >= options_.max_steps || underflows(slot.dt, options_.t0, options_.t1)) {
      slot.phase = Phase::kFailed;
      return;
    }
    slot.t_end = step_end(slot.t, slot.dt, options_.t1);
  }
  slot.dt = slot.t_end - slot.t;
}

template <class State>
double SlotEngine<State>::grid_time(std::int64_t step) const {
  if (step == options_.steps) return options_.t1;
  const double share = static_cast<double>(step) / static_cast<double>(options_.steps);
  return options_.t0 + share * (options_.t1 - options_.t0);
}

template <class State>
void SlotEngine<State>::finish_step(std::int64_t s) {
  Slot& slot = slot_[s];
  const std::vector<const State*> k = slopes_of(s);
  const bool finite = advance_row<State>(row(y_, s), slot.dt, tableau_.b, k.data(), elements_, row(y_new_, s));
  slot.steps += 1;
  double ratio = 0;
  if (tableau_.adaptive()) {
    ratio = error_ratio<State>(row(y_, s), row(y_new_, s), slot.dt, tableau_.e, k.data(), elements_, options_.rtol,
                               options_.atol);
  }
  if (!finite || !std::isfinite(ratio)) {
    slot.phase = Phase::kFailed;
    return;
  }
  if (ratio <= 1) {
    accept(s);
    if (slot.phase == Phase::kDone) return;
  } else {
    slot.rejected += 1;
    slot.stage = 1;  // y and t stay, and so does the first slope
  }
  if (tableau_.adaptive()) slot.dt = next_step(slot.dt, ratio, tableau_.order);
  begin_step(s);
}

template <class State>
void SlotEngine<State>::accept(std::int64_t s) {
  Slot& slot = slot_[s];
  std::copy_n(row(y_new_, s), elements_, row(y_, s));
  if (fsal_) std::copy_n(row(k_.back(), s), elements_, row(k_.front(), s));
  slot.stage = fsal_ ? 1 : 0;
  slot.t = slot.t_end;
  if (slot.t == options_.t1) slot.phase = Phase::kDone;
}

template class SlotEngine<float>;
template class SlotEngine<double>;

}  // namespace pathline::sampler
