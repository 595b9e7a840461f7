// SPDX-License-Identifier: Apache-2.0
// dataset.json, which StyleGAN's and EDM's dataset_tool.py put beside pictures: {"labels": [["00000/a.png", 6], ...]},
// or "labels": null. https://github.com/NVlabs/edm/blob/main/training/dataset.py
#pragma once

#include <string>

#include "data/import_sources.h"

namespace pathline::data {

inline constexpr const char* kDatasetJson = "dataset.json";

/// Gives every picture of `set` its label; none where the file says null or has no "labels". Entries of pictures that
/// do not lie below `under` are passed over. Other entries without a picture, pictures without an entry, and labels
/// that are no whole numbers are kInput, naming `origin`.
void assign_listed_labels(EncodedSet& set, const std::string& json, const std::string& under,
                          const std::string& origin);

}  // namespace pathline::data
