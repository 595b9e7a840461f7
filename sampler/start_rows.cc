// SPDX-License-Identifier: Apache-2.0
#include "sampler/start_rows.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "core/crc32c.h"
#include "core/error.h"
#include "data/loader.h"
#include "flow/path.h"
#include "sampler/solver.h"

namespace pathline::sampler {

using core::ExitCode;

StartRows::StartRows(const std::string& option, const std::string& path, Kind kind,
                     std::span<const std::int64_t> sample_shape)
    : option_(option),
      path_(path),
      kind_(kind),
      shape_(sample_shape.begin(), sample_shape.end()),
      source_(data::open_source({path})) {
  const data::SetInfo& info = source_->info();
  const std::vector<std::int64_t> held = info.sample_shape();
  PL_CHECK(held == shape_, ExitCode::kUsage, option, " ", path, " holds samples of another shape than the model's (",
           info.description, "; sample i starts from row i). Give a set of the same shape.");
  PL_CHECK(kind != Kind::kStarts || source_->has_starts(), ExitCode::kInput, option, " ", path,
           " has no /x0 (the noise that samples start from belongs there; ", info.description,
           "). Make one with `pathline sample --encode` or `--pairs`.");
}

void StartRows::check_row(std::int64_t row) const {
  PL_CHECK(row < info().count, ExitCode::kUsage, option_, " ", path_, " has ", info().count,
           " rows, and there is none for sample ", row, ". Ask for fewer with --first and --count.");
}

at::Tensor StartRows::value(std::int64_t row) const {
  check_row(row);
  at::Tensor value = at::empty(shape_, at::kFloat);
  const std::span out(value.mutable_data_ptr<float>(), info().item_values());
  if (kind_ == Kind::kItems) {
    data::to_values(info(), item(row), /*mirrored=*/false, out);
    return value;
  }
  std::vector<float> start(out.size());
  source_->read_start(row, start);
  data::start_to_values(info(), start, /*mirrored=*/false, out);
  return value;
}

std::vector<std::byte> StartRows::item(std::int64_t row) const {
  check_row(row);
  std::vector<std::byte> bytes(info().item_bytes());
  source_->read(row, bytes);
  return bytes;
}

std::vector<std::int64_t> StartRows::labels() const {
  std::vector<std::int64_t> labels;
  for (std::int64_t row = 0; info().classes > 0 && row < info().count; ++row) labels.push_back(source_->label(row));
  return labels;
}

std::string StartRows::identity() const {
  std::uint32_t crc = 0;
  for (std::int64_t row = 0; row < info().count; ++row) {
    const at::Tensor one = value(row);
    crc = core::crc32c({static_cast<const std::byte*>(one.const_data_ptr()), one.nbytes()}, crc);
  }
  return core::concat("crc32c ", core::crc32c_digits(crc), " of ", info().count, " rows");
}

std::int64_t count_rows(const std::string& path) { return data::open_source({path})->info().count; }

double encode_backwards(SolverOptions& options) {
  const Solver solver = find_solver(options.solver);
  PL_CHECK(solver.family == SolverFamily::kRungeKutta || solver.name == "ab2", ExitCode::kUsage,
           "--encode with solver ", solver.name,
           " (only the velocity's own equation can be followed back to the noise). Use dopri5, another ",
           "Runge-Kutta method or ab2.");
  PL_CHECK(options.trajectories.empty(), ExitCode::kUsage,
           "--trajectories and --encode do not go together. Decode what was encoded (--start) to see the ways.");
  const double noise = options.start_scale;  // of the states that samples start from
  std::swap(options.t0, options.t1);
  options.start_scale = flow::Path::parse(options.path).at(options.t0).a;
  options.denoise = false;
  return 1 / noise;
}

}  // namespace pathline::sampler
