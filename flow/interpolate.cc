// SPDX-License-Identifier: Apache-2.0
#include "flow/interpolate.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <vector>

namespace pathline::flow {

at::Tensor of_times(const at::Tensor& t, const std::function<double(double)>& factor) {
  const at::Tensor times = t.to(at::kDouble).contiguous();
  at::Tensor factors = at::empty_like(times);
  for (std::int64_t n = 0; n < t.numel(); ++n) {
    factors.mutable_data_ptr<double>()[n] = factor(times.const_data_ptr<double>()[n]);
  }
  return factors;
}

at::Tensor as_row_factors(const at::Tensor& factors, const at::Tensor& rows) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(rows.dim()), 1);
  shape[0] = factors.size(0);
  return factors.to(rows.scalar_type()).view(shape);
}

at::Tensor row_table(std::int64_t rows, const std::function<std::vector<double>(std::int64_t row)>& of_row) {
  at::Tensor table;
  for (std::int64_t n = 0; n < rows; ++n) {
    const std::vector<double> numbers = of_row(n);
    if (n == 0) table = at::empty({std::ssize(numbers), rows}, at::kFloat);
    float* out = table.mutable_data_ptr<float>() + n;
    for (std::size_t k = 0; k < numbers.size(); ++k)
      out[static_cast<std::int64_t>(k) * rows] = static_cast<float>(numbers[k]);
  }
  return table;
}

at::Tensor mixed(const at::Tensor& x1, const at::Tensor& c1, const at::Tensor& x0, const at::Tensor& c0) {
  return x1.mul(as_row_factors(c1, x1)).addcmul_(x0, as_row_factors(c0, x0));
}

at::Tensor squared_error_per_sample(const at::Tensor& prediction, const at::Tensor& target) {
  return prediction.sub(target).square().flatten(1).mean(1);
}

}  // namespace pathline::flow
