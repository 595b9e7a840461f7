// SPDX-License-Identifier: Apache-2.0
#include "sampler/generate.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/progress.h"
#include "sampler/classifier_guidance.h"
#include "sampler/slot_engine.h"

namespace pathline::sampler {
namespace {

/// Points are integrated in fp64: their few elements cost nothing. The network sees fp32 as always.
Field with_fp64_state(const Field& field) {
  if (!field) return {};
  return [field](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return field(x.to(at::kFloat), t.to(at::kFloat), labels);
  };
}

/// The label that the field, and a classifier, are given for `label`; -1 stands for "no condition".
std::int64_t label_of_field(std::int64_t label, const Job& job) {
  PL_CHECK(job.null_label >= 0 || job.classifier || label < 0, core::ExitCode::kUsage, "label ", label,
           " was asked of an unconditional model. Leave the labels out.");
  PL_CHECK(!job.classifier || label >= 0, core::ExitCode::kUsage,
           "a sample without a label was asked of a classifier (its gradient is that of one label). Give labels.");
  return label < 0 ? std::max<std::int64_t>(job.null_label, 0) : label;
}

/// What the job's classifier adds to the field's values.
Field push_of(const Job& job) {
  const SolverOptions& solver = job.solver;
  if (!job.classifier || solver.classifier_scale == 0) return {};
  return solver.noise_schedule.empty()
             ? velocity_push(job.classifier, solver.classifier_scale, flow::Path::parse(solver.path))
             : noise_push(job.classifier, solver.classifier_scale, solver.noise_schedule);
}

std::int64_t elements_of(const Job& job) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : job.sample_shape) elements *= extent;
  return elements;
}

/// One call of generate().
class Generation {
 public:
  Generation(const Job& batch, const NextRequest& next, const Emit& emit) : batch_(batch), next_(next), emit_(emit) {}

  template <class State>
  Statistics run(const GuidedField& field) {
    const auto methods = [](const Job& job) {
      return method_maker<State>(job.solver, elements_of(job), step_noise(job.seed));
    };
    SlotEngine<State> engine(field, methods(batch_), batch_.sample_shape, batch_.slots, batch_.null_label >= 0);
    methods_ = {{&batch_, 0}};
    if (batch_.watch) engine.watch(batch_.watch);
    const auto next = [&]() -> std::optional<Start> {
      const std::optional<Request> request = next_();
      if (!request) {
        note_work(engine.work());
        total_.queued_useful = total_.useful_rows;
        total_.queued_rows = total_.evaluated_rows;
        return std::nullopt;
      }
      const auto [method, unknown] = methods_.try_emplace(request->job, 0);
      if (unknown) {
        PL_ASSERT(share_batch(*request->job, batch_));
        method->second = engine.add_method(methods(*request->job));
      }
      return start_of(*request, method->second, c10::CppTypeToScalarType<State>::value);
    };
    engine.run(next, [&](Finish&& finish) {
      note_work(engine.work());
      hand_out(std::move(finish));
    });
    return total_;
  }

 private:
  Start start_of(const Request& request, std::size_t method, at::ScalarType type) {
    const Job& job = *request.job;
    out_[++last_ticket_] = request;
    return {request.id,
            label_of_field(request.label, job),
            start_value(job, request.id).to(type),
            job.solver.guidance_of(request.id),
            method,
            last_ticket_};
  }

  void note_work(const Work& work) {
    total_.useful_rows = work.useful;
    total_.evaluated_rows = work.ticks * batch_.slots;
    total_.field_seconds = work.field_seconds;
  }

  void hand_out(Finish&& finish) {
    total_.count += 1;
    total_.failed += failed(finish.outcome);
    total_.not_finite += finish.outcome == Outcome::kNotFinite;
    total_.steps_too_short += finish.outcome == Outcome::kStepTooShort;
    total_.too_many_steps += finish.outcome == Outcome::kTooManySteps;
    total_.at_noise_floor += finish.noise_floor_steps > 0;
    total_.nfe += finish.nfe;
    total_.max_nfe = std::max(total_.max_nfe, finish.nfe);
    total_.rejected_steps += finish.rejected;
    const Request request = out_.extract(finish.ticket).mapped();
    emit_({request.job, request.id, request.label, finish.x.to(at::kFloat), finish.nfe, finish.rejected,
           failed(finish.outcome) ? SampleStatus::kFailed : SampleStatus::kDone, finish.outcome,
           finish.noise_floor_steps, finish.trajectory.defined() ? finish.trajectory.to(at::kFloat) : at::Tensor()},
          total_);
  }

  const Job& batch_;
  const NextRequest& next_;
  const Emit& emit_;
  std::map<const Job*, std::size_t> methods_;  // of the engine
  std::map<std::int64_t, Request> out_;        // by ticket: those whose samples are being made
  std::int64_t last_ticket_ = 0;
  Statistics total_;
};

}  // namespace

bool share_batch(const Job& a, const Job& b) {
  const auto evaluation = [](const Job& job) {
    return std::tuple(job.sample_shape, job.null_label, job.slots, !job.guide, !job.classifier,
                      job.solver.guidance_channels, job.solver.classifier_scale, job.solver.noise_schedule,
                      job.solver.path);
  };
  return evaluation(a) == evaluation(b);
}

Statistics generate(const Field& field, const Job& job, const NextRequest& next, const Emit& emit) {
  const double begin = core::monotonic_seconds();
  const bool points = job.sample_shape.size() == 1;
  Generation generation(job, next, emit);
  GuidedField guided{field, job.null_label, job.solver.guidance_channels, job.guide, push_of(job)};
  if (points) {
    for (Field* one : {&guided.field, &guided.weaker, &guided.push}) *one = with_fp64_state(*one);
  }
  Statistics total = points ? generation.run<double>(guided) : generation.run<float>(guided);
  total.seconds = core::monotonic_seconds() - begin;
  return total + Statistics{};
}

Statistics generate(const Field& field, const Job& job, const NextId& next,
                    const std::function<std::int64_t(std::int64_t id)>& label_of, const Emit& emit) {
  const NextRequest requests = [&]() -> std::optional<Request> {
    const std::optional<std::int64_t> id = next();
    return id ? std::optional(Request{&job, *id, label_of(*id)}) : std::nullopt;
  };
  return generate(field, job, requests, emit);
}

Statistics generate(const Field& field, const Job& job, std::int64_t first, std::int64_t last,
                    const std::function<std::int64_t(std::int64_t id)>& label_of,
                    const std::function<void(Sample&&)>& emit) {
  std::int64_t id = first;
  const NextId next = [&]() { return id < last ? std::optional(id++) : std::nullopt; };
  return generate(field, job, next, label_of, [&](Sample&& sample, const Statistics&) { emit(std::move(sample)); });
}

Statistics operator+(const Statistics& a, const Statistics& b) {
  Statistics sum;
  sum.count = a.count + b.count;
  sum.failed = a.failed + b.failed;
  sum.not_finite = a.not_finite + b.not_finite;
  sum.steps_too_short = a.steps_too_short + b.steps_too_short;
  sum.too_many_steps = a.too_many_steps + b.too_many_steps;
  sum.at_noise_floor = a.at_noise_floor + b.at_noise_floor;
  sum.nfe = a.nfe + b.nfe;
  sum.max_nfe = std::max(a.max_nfe, b.max_nfe);
  sum.rejected_steps = a.rejected_steps + b.rejected_steps;
  sum.useful_rows = a.useful_rows + b.useful_rows;
  sum.evaluated_rows = a.evaluated_rows + b.evaluated_rows;
  sum.queued_useful = a.queued_useful + b.queued_useful;
  sum.queued_rows = a.queued_rows + b.queued_rows;
  sum.seconds = a.seconds + b.seconds;
  sum.field_seconds = a.field_seconds + b.field_seconds;
  if (sum.count > 0) sum.mean_nfe = static_cast<double>(sum.nfe) / static_cast<double>(sum.count);
  if (sum.evaluated_rows > 0) {
    sum.occupancy = static_cast<double>(sum.useful_rows) / static_cast<double>(sum.evaluated_rows);
  }
  if (sum.queued_rows > 0) {
    sum.queued_occupancy = static_cast<double>(sum.queued_useful) / static_cast<double>(sum.queued_rows);
  }
  return sum;
}

}  // namespace pathline::sampler
