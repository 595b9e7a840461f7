// SPDX-License-Identifier: Apache-2.0
// A TorchScript encoder, and the latents that it makes of the pictures of a set.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "data/shard_source.h"
#include "sampler/record.h"
#include "sampler/torch_script.h"

namespace pathline::apps {

struct LatentOptions {
  std::string input, output, encoder;
  std::string normalize = "channel";  // as data::parse_latent_scale()
  std::string device = "auto";        // auto | cpu | cuda
  std::int64_t batch = 8;             // pictures in the encoder at once; part of the bits
  std::int64_t part_size = 0;         // pictures in a part at most, in whole batches; 0: about 10 s of work
  std::int64_t threads = 0;           // 0: as the job began, else 1 under a launcher and all cores alone
  bool moments = false;               // the encoder gives mean and log-variance
  bool flips = false;                 // mirror images are encoded, too
};

/// Batch b always holds pictures [b * batch, (b + 1) * batch) of the set: what kernels make of a picture may depend on
/// its batch, so a batch is what ranks are given and what is made again after a kill.
class LatentEncoder {
 public:
  /// Tries the encoder twice on the first batch. Throws ExitCode::kInput for a set of no pictures, and for an encoder
  /// that does not give float (B, c, h, w), with options.moments (B, 2c, h, w), or other numbers the second time.
  LatentEncoder(const LatentOptions& options, const data::ShardSource& source, at::Device device);

  /// What the set of latents is: shape, form without shift and scale, labels and class names as the pictures'.
  const data::SetInfo& info() const { return info_; }
  std::int64_t batches() const;
  sampler::IdRange items_of(std::int64_t batch) const;

  /// Of batch `batch`, as parts hold them: float16 (flips, moments, c, h, w). Throws ExitCode::kInput naming a picture
  /// whose latent is not finite in float16.
  std::vector<sampler::Record> encode(std::int64_t batch) const;

 private:
  at::Tensor pictures(sampler::IdRange items) const;
  at::Tensor latents_of(const at::Tensor& pictures, sampler::IdRange items) const;

  const LatentOptions options_;
  const data::ShardSource& source_;
  const sampler::TorchScript network_;
  data::SetInfo info_;
};

}  // namespace pathline::apps
