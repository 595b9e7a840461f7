// SPDX-License-Identifier: Apache-2.0
#include "sampler/moments.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "data/npz.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;

data::NpyArray array_of(const at::Tensor& tensor) {
  const at::Tensor values = tensor.contiguous();
  data::NpyArray array{"f8", values.sizes().vec(), {}};
  array.bytes.resize(static_cast<std::size_t>(values.numel()) * sizeof(double));
  std::memcpy(array.bytes.data(), values.const_data_ptr<double>(), array.bytes.size());
  return array;
}

at::Tensor tensor_of(const data::NpyArray& array, const std::string& what) {
  PL_CHECK(array.dtype == "f8" || array.dtype == "f4", ExitCode::kInput, what, " holds elements of type ", array.dtype,
           " (moments are floating-point numbers). Write it again.");
  const at::Tensor tensor = at::empty(array.shape, array.dtype == "f8" ? at::kDouble : at::kFloat);
  std::memcpy(tensor.mutable_data_ptr(), array.bytes.data(), array.bytes.size());
  return tensor.to(at::kDouble);
}

/// A symmetric matrix's square root; negative eigenvalues are rounding.
at::Tensor square_root(const at::Tensor& matrix) {
  const auto [values, vectors] = at::linalg_eigh(matrix);
  return at::matmul(vectors * values.clamp_min(0.0).sqrt(), vectors.t());
}

}  // namespace

void Moments::add(const at::Tensor& rows) {
  PL_ASSERT(rows.dim() == 2 && rows.size(0) >= 1);
  const at::Tensor values = rows.to(at::kDouble);
  Moments batch;
  batch.count_ = values.size(0);
  batch.mean_ = values.mean(0);
  const at::Tensor centred = values - batch.mean_;
  batch.scatter_ = at::matmul(centred.t(), centred);
  merge(batch);
}

void Moments::merge(const Moments& other) {
  PL_ASSERT(!covariance_.defined() && !other.covariance_.defined());
  if (other.count_ == 0) return;
  if (count_ == 0) {
    *this = other;
    return;
  }
  PL_CHECK(mean_.numel() == other.mean_.numel(), ExitCode::kInput, "features of ", other.mean_.numel(),
           " numbers cannot be joined with features of ", mean_.numel(), ". Use one feature network for all.");
  const auto n = static_cast<double>(count_), m = static_cast<double>(other.count_);
  const at::Tensor apart = other.mean_ - mean_;
  mean_ = mean_ + apart * (m / (n + m));
  scatter_ = scatter_ + other.scatter_ + at::outer(apart, apart) * (n * m / (n + m));
  count_ += other.count_;
}

at::Tensor Moments::covariance() const {
  if (covariance_.defined()) return covariance_;
  PL_CHECK(count_ >= 2, ExitCode::kInput, "a covariance was asked of ", count_, " samples; it takes at least 2.");
  return scatter_ / static_cast<double>(count_ - 1);
}

void Moments::save(core::FileSystem& files, const std::string& path) const {
  data::NpzWriter writer(files, path);
  writer.add("mu", array_of(mean_));
  writer.add("sigma", array_of(covariance()));
  data::NpyArray count{"i8", {1}, std::vector<std::byte>(8)};
  std::memcpy(count.bytes.data(), &count_, 8);
  writer.add("n", count);
  writer.finish();
}

bool Moments::holds(core::FileSystem& files, const std::string& path) {
  if (!path.ends_with(".npz")) return false;
  const data::NpzReader reader(files, path);
  return reader.has("mu") && reader.has("sigma");
}

Moments Moments::load(core::FileSystem& files, const std::string& path) {
  const data::NpzReader reader(files, path);
  Moments moments;
  moments.mean_ = tensor_of(reader.read("mu"), path);
  const at::Tensor sigma = tensor_of(reader.read("sigma"), path);
  const std::int64_t features = moments.mean_.numel();
  PL_CHECK(moments.mean_.dim() == 1 && sigma.sizes() == at::IntArrayRef({features, features}), ExitCode::kInput, path,
           " holds no moments: mu is ", moments.mean_.sizes(), ", sigma is ", sigma.sizes(), ". Write it again.");
  if (reader.has("n")) {
    const data::NpyArray n = reader.read("n");
    PL_CHECK(n.dtype == "i8" && n.bytes.size() == 8 && n.as<std::int64_t>()[0] >= 2, ExitCode::kInput, path,
             " holds no count of samples in n. Write it again.");
    moments.count_ = n.as<std::int64_t>()[0];
  }
  moments.covariance_ = sigma;
  return moments;
}

double frechet_distance(const Moments& a, const Moments& b) {
  PL_CHECK(a.mean().numel() == b.mean().numel(), ExitCode::kInput, "features of ", a.mean().numel(), " and of ",
           b.mean().numel(), " numbers have no distance. Use one feature network for both.");
  const at::Tensor first = a.covariance(), second = b.covariance();
  const at::Tensor root = square_root(first);
  const at::Tensor product = at::matmul(at::matmul(root, second), root);
  const auto [values, vectors] = at::linalg_eigh((product + product.t()) / 2);
  const double cross = values.clamp_min(0.0).sqrt().sum().item<double>();
  const double apart = (a.mean() - b.mean()).square().sum().item<double>();
  return apart + first.trace().item<double>() + second.trace().item<double>() - 2 * cross;
}

}  // namespace pathline::sampler
