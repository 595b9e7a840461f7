// SPDX-License-Identifier: Apache-2.0
#include "sampler/generate.h"

#include <ATen/ops/stack.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/progress.h"
#include "sampler/slot_engine.h"

namespace pathline::sampler {
namespace {

/// Points are integrated in fp64: their few elements cost nothing. The network sees fp32 as always.
Field with_fp64_state(const Field& field) {
  return [field](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return field(x.to(at::kFloat), t.to(at::kFloat), labels);
  };
}

/// The label that the field is given for `label`; -1 stands for "no condition".
std::int64_t label_of_field(std::int64_t label, std::int64_t null_label) {
  PL_CHECK(null_label >= 0 || label < 0, core::ExitCode::kUsage, "label ", label,
           " was asked of an unconditional model. Leave the labels out.");
  return label < 0 ? std::max<std::int64_t>(null_label, 0) : label;
}

template <class State>
Work run_ids(const CostedField& field, const Job& job, std::int64_t first, std::int64_t last,
             const std::function<std::int64_t(std::int64_t)>& label_of, const std::function<void(Finish&&)>& emit) {
  SlotEngine<State> engine(field, job.solver, job.sample_shape, job.slots, job.null_label >= 0);
  std::int64_t id = first;
  const auto next = [&]() -> std::optional<Start> {
    if (id >= last) return std::nullopt;
    Start start{id, label_of_field(label_of(id), job.null_label), start_noise(job.seed, id, job.sample_shape)};
    start.x = start.x.to(c10::CppTypeToScalarType<State>::value);
    ++id;
    return start;
  };
  return engine.run(next, emit);
}

}  // namespace

Statistics generate(const Field& field, const Job& job, std::int64_t first, std::int64_t last,
                    const std::function<std::int64_t(std::int64_t id)>& label_of,
                    const std::function<void(Sample&&)>& emit) {
  const double begin = core::monotonic_seconds();
  Statistics total;
  const auto hand_out = [&](Finish&& finish) {
    Sample sample{finish.id,
                  label_of(finish.id),
                  finish.x.to(at::kFloat),
                  finish.nfe,
                  finish.rejected,
                  finish.failed ? SampleStatus::kFailed : SampleStatus::kDone};
    total.count += 1;
    total.failed += finish.failed;
    total.nfe += finish.nfe;
    total.max_nfe = std::max(total.max_nfe, finish.nfe);
    total.rejected_steps += finish.rejected;
    emit(std::move(sample));
  };
  const bool points = job.sample_shape.size() == 1;
  const CostedField costed = guided(field, job.solver.guidance, job.null_label);
  const Work work =
      points ? run_ids<double>({with_fp64_state(costed.field), costed.passes}, job, first, last, label_of, hand_out)
             : run_ids<float>(costed, job, first, last, label_of, hand_out);
  total.useful_rows = work.useful;
  total.evaluated_rows = work.ticks * job.slots;
  total.seconds = core::monotonic_seconds() - begin;
  return total + Statistics{};
}

Statistics operator+(const Statistics& a, const Statistics& b) {
  Statistics sum;
  sum.count = a.count + b.count;
  sum.failed = a.failed + b.failed;
  sum.nfe = a.nfe + b.nfe;
  sum.max_nfe = std::max(a.max_nfe, b.max_nfe);
  sum.rejected_steps = a.rejected_steps + b.rejected_steps;
  sum.useful_rows = a.useful_rows + b.useful_rows;
  sum.evaluated_rows = a.evaluated_rows + b.evaluated_rows;
  sum.seconds = a.seconds + b.seconds;
  if (sum.count > 0) sum.mean_nfe = static_cast<double>(sum.nfe) / static_cast<double>(sum.count);
  if (sum.evaluated_rows > 0) {
    sum.occupancy = static_cast<double>(sum.useful_rows) / static_cast<double>(sum.evaluated_rows);
  }
  return sum;
}

namespace {

template <class State>
at::Tensor integrate_rows(const CostedField& field, const at::Tensor& x, const at::Tensor& labels,
                          const SolverOptions& solver, std::vector<std::int64_t>* nfe) {
  const std::int64_t rows = x.size(0);
  SlotEngine<State> engine(field, solver, x.sizes().slice(1).vec(), rows, labels.defined());
  std::vector<at::Tensor> ends(static_cast<std::size_t>(rows));
  if (nfe) nfe->assign(static_cast<std::size_t>(rows), 0);
  std::int64_t row = 0;
  const auto next = [&]() -> std::optional<Start> {
    if (row >= rows) return std::nullopt;
    Start start{row, labels.defined() ? labels[row].item<std::int64_t>() : 0, x[row]};
    ++row;
    return start;
  };
  engine.run(next, [&](Finish&& finish) {
    PL_CHECK(!finish.failed, core::ExitCode::kNumerical, "row ", finish.id, " could not be integrated with ",
             solver.solver, " (its velocity is not finite, its step became too short, or it took ", solver.max_steps,
             " steps). Loosen rtol and atol, or look at the field.");
    if (nfe) (*nfe)[finish.id] = finish.nfe;
    ends[finish.id] = std::move(finish.x);
  });
  return at::stack(ends);
}

}  // namespace

at::Tensor integrate(const Field& field, const at::Tensor& x, const at::Tensor& labels, std::int64_t null_label,
                     const SolverOptions& solver, std::vector<std::int64_t>* nfe) {
  const CostedField costed = guided(field, solver.guidance, null_label);
  return x.scalar_type() == at::kDouble ? integrate_rows<double>(costed, x, labels, solver, nfe)
                                        : integrate_rows<float>(costed, x.to(at::kFloat), labels, solver, nfe);
}

}  // namespace pathline::sampler
