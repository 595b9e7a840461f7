// SPDX-License-Identifier: Apache-2.0
// Latents of an autoencoder in an image store (docs/formats/image-store.md, "Latents").
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/config.h"
#include "core/random.h"
#include "data/hdf5.h"
#include "data/shard_source.h"

namespace pathline::data {

/// Kind, count, shape and form of `items`, the data set /latents of `file`. Throws ExitCode::kInput for what is no such
/// data set, and for a normalisation that does not fit it.
SetInfo latent_info(const hdf5::File& file, const hdf5::DataSet& items);

/// ", 2 flips, mean and log-variance", or "".
std::string described(const LatentForm& form);

/// The keys data.latent_shift and data.latent_scale: with them a checkpoint knows how its samples become latents again.
/// Empty lists: the data are no latents.
void bind(core::Config& config, LatentForm& form);

/// What a model sees of an item: out (channels, height, width) = (latent - shift) * scale in fp32. `mirrored`: of the
/// mirror image, where it is stored. Of mean and log-variance the mean, or, where `draw` is not null, a number of their
/// normal law: mean + exp(logvar / 2) * normal, the log-variance within [-30, 20] (docs/formats/random.md, "Latents").
void latent_to_values(const SetInfo& info, std::span<const std::byte> item, bool mirrored, const core::Draws* draw,
                      std::span<float> out);

/// exp(log_variance / 2), the log-variance within [-30, 20]. The same bits on every machine.
float latent_deviation(float log_variance);

/// float16 (IEEE 754 binary16) to fp32, exactly.
void half_to_float(std::span<const std::byte> halves, std::span<float> out);

}  // namespace pathline::data
