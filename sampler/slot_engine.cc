// SPDX-License-Identifier: Apache-2.0
#include "sampler/slot_engine.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/progress.h"

namespace pathline::sampler {

template <class State>
SlotEngine<State>::SlotEngine(GuidedField field, const MethodMaker<State>& make_method,
                              std::vector<std::int64_t> sample_shape, std::int64_t slots, bool labelled)
    : field_(std::move(field)), slots_(static_cast<std::size_t>(slots)), makers_{make_method} {
  PL_CHECK(slots > 0, core::ExitCode::kUsage, "slots is ", slots, "; a batch needs at least 1.");
  shape_.push_back(slots);
  for (const std::int64_t extent : sample_shape) {
    PL_ASSERT(extent > 0);
    shape_.push_back(extent);
    elements_ *= static_cast<std::size_t>(extent);
  }
  const auto channels = static_cast<std::size_t>(sample_shape.at(0));
  const auto guided = field_.channels > 0 ? static_cast<std::size_t>(field_.channels) : channels;
  guided_elements_ = std::min(guided, channels) * (elements_ / channels);
  constexpr std::size_t kElementsWorthAThread = 16384;
  grain_ = static_cast<std::int64_t>(std::max<std::size_t>(1, kElementsWorthAThread / elements_));

  networks_.push_back({field_.field, labelled, {}});
  if (field_.weaker) networks_.push_back({field_.weaker, labelled, {}});
  if (field_.push) networks_.push_back({field_.push, true, {}});
  flights_.resize(networks_.size() * (slots_ - 1) + 1);
  for (Flight& flight : flights_) flight.x.resize(elements_);
  const at::TensorOptions type = at::TensorOptions().dtype(c10::CppTypeToScalarType<State>::value);
  input_ = at::zeros(shape_, type);
  times_ = at::zeros({slots}, type);
  labels_ = at::zeros({slots}, at::kLong);
}

template <class State>
std::size_t SlotEngine<State>::add_method(MethodMaker<State> make_method) {
  makers_.push_back(std::move(make_method));
  return makers_.size() - 1;
}

template <class State>
void SlotEngine<State>::watch(const SampleWatch& watch) {
  watch_ = watch;
  for (Flight& flight : flights_) flight.method = nullptr;
}

template <class State>
Work SlotEngine<State>::run(const std::function<std::optional<Start>()>& next,
                            const std::function<void(Finish&&)>& emit) {
  const at::NoGradGuard no_grad;
  work_ = {};
  for (Network& network : networks_) network.waiting.clear();
  bool more = true;
  for (std::size_t f = 0; more && f < flights_.size(); ++f) {
    more = refill(flights_[f], next);
    if (more) ask(f);
  }
  while (std::ranges::any_of(networks_, [](const Network& network) { return !network.waiting.empty(); })) {
    tick();
    for (const std::size_t row : groups_) {
      const std::size_t f = rows_[row].flight;
      Flight& flight = flights_[f];
      if (!std::exchange(flight.moved, false)) continue;
      if (flight.outcome != Outcome::kRunning) {
        emit(take(flight));
        more = more && refill(flight, next);
        if (!more) continue;
      }
      ask(f);
    }
  }
  return work_;
}

template <class State>
bool SlotEngine<State>::refill(Flight& flight, const std::function<std::optional<Start>()>& next) {
  const std::optional<Start> start = next();
  if (!start) return false;
  PL_CHECK(start->guidance == 1.0 || field_.weaker || field_.null_label >= 0, core::ExitCode::kUsage,
           "guidance was asked of an unconditional model (it has no labels to be guided by). Leave --guidance out.");
  flight.id = start->id;
  flight.label = start->label;
  flight.ticket = start->ticket;
  flight.guidance = start->guidance;
  flight.nfe = 0;
  flight.outcome = Outcome::kRunning;
  flight.moved = false;
  const at::Tensor x = start->x.contiguous();
  PL_ASSERT(static_cast<std::size_t>(x.numel()) == elements_);
  method_of(flight, start->method).start(start->id, {x.template const_data_ptr<State>(), elements_});
  plan(flight);
  return true;
}

/// The one of the sample before where it will do: its registers are there.
template <class State>
SlotMethod<State>& SlotEngine<State>::method_of(Flight& flight, std::size_t maker) {
  if (flight.method && flight.made_by == maker) return *flight.method;
  flight.method = makers_.at(maker)();
  flight.made_by = maker;
  if (watch_) flight.method->watch([this, &flight](const TriedStep& step) { watch_(flight.id, step, flight.nfe); });
  return *flight.method;
}

/// What the method wants evaluated next, and the terms that it takes.
template <class State>
void SlotEngine<State>::plan(Flight& flight) {
  const Evaluation next = flight.method->plan(flight.x);
  flight.t = next.t;
  flight.weight = next.guided ? flight.guidance : 1.0;
  flight.asked = {true, flight.weight != 1.0, next.guided && field_.push};
  flight.missing = static_cast<int>(std::ranges::count(flight.asked, true));
}

template <class State>
void SlotEngine<State>::ask(std::size_t flight) {
  for (const Term term : {kConditional, kOther, kPush}) {
    if (flights_[flight].asked[term]) network_of(term).waiting.push_back({flight, term});
  }
}

template <class State>
typename SlotEngine<State>::Network& SlotEngine<State>::network_of(Term term) {
  if (term == kPush) return networks_.back();
  return term == kOther && field_.weaker ? networks_[1] : networks_[0];
}

template <class State>
std::int64_t SlotEngine<State>::label_of(const Row& row) const {
  return row.term == kOther && !field_.weaker ? field_.null_label : flights_[row.flight].label;
}

/// One forward pass of the network that most rows wait for.
template <class State>
void SlotEngine<State>::tick() {
  Network& network = *std::ranges::max_element(networks_, {}, [](const Network& n) { return n.waiting.size(); });
  pack(network);
  const double begin = core::monotonic_seconds();
  const at::Tensor v =
      network.field(input_, times_, network.labelled ? labels_ : at::Tensor()).to(input_.options()).contiguous();
  work_.field_seconds += core::monotonic_seconds() - begin;
  work_.ticks += 1;
  work_.useful += static_cast<std::int64_t>(rows_.size());
  PL_ASSERT(v.size(0) == shape_[0] && v.numel() % input_.numel() == 0);
  hand_back({v.template const_data_ptr<State>(), static_cast<std::size_t>(v.numel())});
}

/// The oldest rows, and zeros behind them: an empty row is evaluated like any other and must not raise anything.
template <class State>
void SlotEngine<State>::pack(Network& network) {
  const std::size_t count = std::min(slots_, network.waiting.size());
  const auto end = network.waiting.begin() + static_cast<std::ptrdiff_t>(count);
  rows_.assign(network.waiting.begin(), end);
  network.waiting.erase(network.waiting.begin(), end);
  groups_.clear();
  for (std::size_t row = 0; row < count; ++row) {
    if (row == 0 || rows_[row].flight != rows_[row - 1].flight) groups_.push_back(row);
  }
  State* const x = input_.template mutable_data_ptr<State>();
  State* const t = times_.template mutable_data_ptr<State>();
  std::int64_t* const label = labels_.mutable_data_ptr<std::int64_t>();
  const auto touched = static_cast<std::int64_t>(std::max(count, filled_));
  at::parallel_for(0, touched, grain_, [&](std::int64_t from, std::int64_t to) {
    for (auto row = static_cast<std::size_t>(from); row < static_cast<std::size_t>(to); ++row) {
      const bool used = row < count;
      if (used) {
        std::ranges::copy(flights_[rows_[row].flight].x, x + row * elements_);
      } else {
        std::fill_n(x + row * elements_, elements_, State{0});
      }
      t[row] = used ? static_cast<State>(flights_[rows_[row].flight].t) : State{0};
      label[row] = used ? label_of(rows_[row]) : 0;
    }
  });
  filled_ = count;
}

/// Flights are independent: threads change no bit.
template <class State>
void SlotEngine<State>::hand_back(std::span<const State> values) {
  const std::size_t width = values.size() / slots_;
  at::parallel_for(0, static_cast<std::int64_t>(groups_.size()), grain_, [&](std::int64_t from, std::int64_t to) {
    for (auto group = static_cast<std::size_t>(from); group < static_cast<std::size_t>(to); ++group) {
      const std::size_t end = group + 1 < groups_.size() ? groups_[group + 1] : rows_.size();
      for (std::size_t row = groups_[group]; row < end; ++row) {
        receive(rows_[row], values.subspan(row * width, width));
      }
    }
  });
}

/// The terms of an evaluation may come in different ticks, in any order; the last one completes it.
template <class State>
void SlotEngine<State>::receive(const Row& row, std::span<const State> value) {
  Flight& flight = flights_[row.flight];
  flight.nfe += 1;
  const bool alone = !flight.asked[kOther] && !flight.asked[kPush];
  if (!alone) flight.values[row.term].assign(value.begin(), value.end());
  if (--flight.missing > 0) return;
  if (alone) return absorb(flight, value);
  // What a network says of its variance, behind the elements of the sample, is not guided.
  const std::span<State> sum = flight.values[kConditional];
  if (flight.asked[kOther]) {
    guide_row<State>(flight.weight, flight.values[kOther], sum.first(guided_elements_));
  }
  if (flight.asked[kPush]) push_row<State>(flight.values[kPush], sum);
  absorb(flight, sum);
}

/// What came back goes in, what is asked next comes out.
template <class State>
void SlotEngine<State>::absorb(Flight& flight, std::span<const State> value) {
  flight.moved = true;
  flight.outcome = flight.method->absorb(value);
  if (flight.outcome == Outcome::kRunning) plan(flight);
}

template <class State>
Finish SlotEngine<State>::take(const Flight& flight) const {
  std::vector<std::int64_t> shape(shape_.begin() + 1, shape_.end());
  Finish finish{flight.id,
                at::zeros(shape, input_.options()),
                flight.nfe,
                flight.method->rejected_steps(),
                flight.method->noise_floor_steps(),
                flight.outcome,
                {},
                flight.ticket};
  if (failed(flight.outcome)) return finish;
  std::ranges::copy(flight.method->state(), finish.x.template mutable_data_ptr<State>());
  const std::span<const State> trajectory = flight.method->trajectory();
  if (trajectory.empty()) return finish;
  shape.insert(shape.begin(), static_cast<std::int64_t>(trajectory.size() / elements_));
  finish.trajectory = at::empty(shape, input_.options());
  std::ranges::copy(trajectory, finish.trajectory.template mutable_data_ptr<State>());
  return finish;
}

template class SlotEngine<float>;
template class SlotEngine<double>;

}  // namespace pathline::sampler
