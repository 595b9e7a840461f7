// SPDX-License-Identifier: Apache-2.0
// Mean and covariance of feature vectors, taken batch by batch in fp64, and the Frechet distance between two of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "core/file_system.h"

namespace pathline::sampler {

class Moments {
 public:
  Moments() = default;

  /// rows (n, D), any floating type, n >= 1; D as before. Batches are merged by Chan, Golub and LeVeque's update
  /// ("Updating formulae and a pairwise algorithm for computing sample variances", 1979): nothing cancels.
  void add(const at::Tensor& rows);
  void merge(const Moments& other);

  std::int64_t count() const { return count_; }
  const at::Tensor& mean() const { return mean_; }  // (D) fp64
  /// (D, D) fp64, divided by count - 1. At least 2 rows.
  at::Tensor covariance() const;

  /// As .npz: `mu` (D), `sigma` (D, D), `n` (1).
  void save(core::FileSystem& files, const std::string& path) const;
  /// Also files of others, whose `n` is not known: it is 0 then. Throws ExitCode::kInput.
  static Moments load(core::FileSystem& files, const std::string& path);
  /// True for an .npz that holds mu and sigma.
  static bool holds(core::FileSystem& files, const std::string& path);

 private:
  std::int64_t count_ = 0;
  at::Tensor mean_, scatter_;  // (D); (D, D): sum of outer products of differences to the mean
  at::Tensor covariance_;      // (D, D) as loaded, in place of the sum: nothing can be added then
};

/// |mu_a - mu_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), by symmetric eigen-decompositions in fp64; eigenvalues below
/// zero (rounding) count as zero. Throws ExitCode::kInput for different D.
double frechet_distance(const Moments& a, const Moments& b);

}  // namespace pathline::sampler
