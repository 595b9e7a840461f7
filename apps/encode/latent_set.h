// SPDX-License-Identifier: Apache-2.0
// From encoded items in order to the set of latents.
#pragma once

#include <string>

#include "apps/encode/latent_encoder.h"
#include "data/image_store_writer.h"
#include "data/latent_scale.h"

namespace pathline::apps {

/// The attribute by which a start recognises a set that it would make again.
constexpr const char* kEncodingAttribute = "encoding";

class LatentSet {
 public:
  /// `info`: of the latents; `source`: the pictures, whose prompts, where they have some, come along. `encoding` is
  /// what kEncodingAttribute will say. The file is written under a temporary name until finish().
  LatentSet(const LatentOptions& options, const data::SetInfo& info, const data::ShardSource& source,
            const std::string& encoding);

  /// The next item.
  void add(const sampler::Record& record);
  /// Returns the content digest.
  std::string finish();

 private:
  void copy_prompts();

  const data::ShardSource& source_;
  const std::optional<data::LatentScale> scale_;  // none: measured
  data::ChannelMoments moments_;
  const std::int64_t channels_;
  data::ImageStoreWriter writer_;
};

}  // namespace pathline::apps
