// SPDX-License-Identifier: Apache-2.0
// Many small pictures as one large one.
#pragma once

#include <span>

#include "data/image.h"
#include "data/shard_source.h"

namespace pathline::data {

/// Pictures of equal shape side by side in rows of `columns`, each pixel magnified `factor` times, `gap` dark pixels
/// between and around them. The last row may be short. Two samplers' grids of the same images are equal.
Image grid_of(std::span<const Image> images, std::int64_t columns, std::int64_t factor = 1, std::int64_t gap = 0);

/// A view of a data set, at least 256 pixels wide: a row of eight for each of the first 16 classes; or 8 x 8 pictures
/// spread evenly over a set without labels; or the density of a set of points in their first two coordinates.
Image contact_sheet(const ShardSource& source);

}  // namespace pathline::data
