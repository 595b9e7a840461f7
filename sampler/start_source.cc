// SPDX-License-Identifier: Apache-2.0
#include "sampler/start_source.h"

#include <algorithm>
#include <string_view>

#include "core/error.h"
#include "core/random.h"
#include "data/loader.h"
#include "data/sample_order.h"
#include "sampler/solver.h"

namespace pathline::sampler {
namespace {

constexpr std::string_view kData = "data:";

core::Purpose noise_of(StartSource::Use use) {
  switch (use) {
    case StartSource::Use::kTraining:
      return core::Purpose::kNoise;
    case StartSource::Use::kValidation:
      return core::Purpose::kValidationNoise;
    case StartSource::Use::kGeneration:
      return core::Purpose::kGenerationNoise;
  }
  PL_ASSERT(false);
  return {};
}

core::Purpose order_of(StartSource::Use use) {
  switch (use) {
    case StartSource::Use::kTraining:
      return core::Purpose::kSourceOrder;
    case StartSource::Use::kValidation:
      return core::Purpose::kValidationSource;
    case StartSource::Use::kGeneration:
      return core::Purpose::kGenerationSource;
  }
  PL_ASSERT(false);
  return {};
}

std::shared_ptr<const data::ShardSource> open_data(const std::string& path, std::span<const std::int64_t> shape) {
  std::shared_ptr<const data::ShardSource> source;
  try {
    source = data::open_source({path});
  } catch (const core::Error& error) {
    throw core::Error(error.code(), core::concat("flow.source = \"data:", path, "\" cannot be opened (every sample ",
                                                 "starts from one of it): ", error.what()));
  }
  const data::SetInfo& info = source->info();
  const std::vector<std::int64_t> held = info.sample_shape();
  PL_CHECK(std::ranges::equal(held, shape), core::ExitCode::kUsage, "flow.source = \"data:", path,
           "\" holds samples of another shape than the model's (", info.description,
           "; a path leads from each of them to a sample). Give a set of the same shape.");
  return source;
}

}  // namespace

StartSource::StartSource(const std::string& source, std::span<const std::int64_t> sample_shape)
    : kind_(source == "gaussian"  ? Kind::kGaussian
            : source == "uniform" ? Kind::kUniform
                                  : Kind::kData) {
  if (kind_ != Kind::kData) return;
  PL_ASSERT(source.starts_with(kData));
  data_ = open_data(source.substr(kData.size()), sample_shape);
}

void StartSource::fill(Use use, std::uint64_t seed, std::uint64_t index, std::span<float> out) const {
  if (kind_ == Kind::kData) {
    const data::SetInfo& info = data_->info();
    const data::SampleOrder order(seed, info.count, order_of(use));
    std::vector<std::byte> item(info.item_bytes());
    data_->read(order.sample(index), item);
    return data::to_values(info, item, /*mirrored=*/false, out);
  }
  const core::Draws draws(seed, index, noise_of(use));
  if (kind_ == Kind::kGaussian) return draws.fill_normal(out);
  draws.fill_uniform(out);
  for (float& value : out) value = 2 * value - 1;
}

std::string StartSource::identity() const {
  if (kind_ == Kind::kGaussian) return "gaussian";
  if (kind_ == Kind::kUniform) return "uniform";
  const data::SetInfo& info = data_->info();
  return core::concat(kData, info.digest.empty() ? "undigested" : info.digest, "/", info.count);
}

std::shared_ptr<const StartSource> open_starts(const std::string& source, std::span<const std::int64_t> sample_shape) {
  return source == "gaussian" ? nullptr : std::make_shared<const StartSource>(source, sample_shape);
}

void check_density(const flow::CouplingOptions& trained, const std::string& what) {
  PL_CHECK(trained.source == "gaussian", core::ExitCode::kUsage, what,
           " needs the density of what samples start from, and this model was trained with flow.source = \"",
           trained.source, "\", not normal noise. Train one with flow.source = \"gaussian\".");
}

void check_score(const flow::CouplingOptions& trained, const std::string& what) {
  PL_CHECK(
      trained.source == "gaussian" && trained.coupling == "independent", core::ExitCode::kUsage, what,
      " needs the score, and this model was trained with flow.source = \"", trained.source, "\" and flow.coupling = \"",
      trained.coupling,
      "\" (its velocity gives the score only where normal noise meets samples independently). Use a solver of the ",
      "velocity: dopri5, heun, euler.");
}

void check_solver(const flow::CouplingOptions& trained, const SolverOptions& solver) {
  const Solver found = find_solver(solver.solver);
  const bool draws = found.name == "ddpm" || (found.name == "ddim" && !solver.noise_schedule.empty() && solver.eta > 0);
  if (found.family == SolverFamily::kStochastic || draws) check_score(trained, "solver " + found.name);
}

}  // namespace pathline::sampler
