// SPDX-License-Identifier: Apache-2.0
// Inpainting: which part of a sample is known (flow.mask). x0 is the known part of the data and noise elsewhere, so
// that the velocity is zero where it is known; the network is shown that part and where it is (Lipman et al., "Flow
// matching guide and code", arXiv 2412.06264, section 4.2: dependent couplings).
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <span>
#include <string>

#include "core/random.h"

namespace pathline::flow {

class MaskLaw {
 public:
  /// "none"; "half": the left, right, upper or lower half is known, each as often; "box": all but a box whose edges are
  /// a quarter to three quarters of the sample's; "pixels:P": every pixel with probability P by itself. Coordinates of
  /// points are pixels of one row, which has no upper half. Throws ExitCode::kUsage.
  static MaskLaw parse(const std::string& text);

  bool none() const { return kind_ == Kind::kNone; }
  /// One mask: 1 known, 0 not. `out` has height * width elements, row by row.
  void draw(const core::Draws& draws, std::int64_t height, std::int64_t width, std::span<float> out) const;

 private:
  enum class Kind { kNone, kHalf, kBox, kPixels };
  Kind kind_ = Kind::kNone;
  double known_ = 0;  // of kPixels
};

/// Masks for samples of `shape`, (C, H, W) or (D): (N, 1, H, W), one for all channels, or (N, D). Row n is keyed by
/// positions[n].
at::Tensor keyed_masks(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       const MaskLaw& law, at::IntArrayRef shape, at::Device device = at::kCPU);

/// What an inpainting network is shown beside x: the known part of x1 and the mask, (N, C + 1, H, W) or (N, 2 D).
at::Tensor known_part(const at::Tensor& x1, const at::Tensor& masks);

/// x1 where it is known, else x0.
at::Tensor masked_start(const at::Tensor& x1, const at::Tensor& x0, const at::Tensor& masks);

/// (N): elements of a sample over those that are not known, 0 where all are: turns a mean over a sample's elements, of
/// which the known ones are zero, into one over the unknown ones.
at::Tensor unknown_weight(const at::Tensor& masks);

}  // namespace pathline::flow
