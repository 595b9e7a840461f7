// SPDX-License-Identifier: Apache-2.0
// Tables of yes/no attributes beside pictures, as CelebA has them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/file_system.h"
#include "data/import.h"

namespace pathline::data {

struct AttributeTable {
  std::string origin;                                               // for messages
  std::vector<std::string> names;                                   // (K)
  std::unordered_map<std::string, std::vector<std::uint8_t>> rows;  // by the picture's file name: (K) of 0 and 1
};

/// Either CelebA's list_attr_celeba.txt (how many rows, the names, then FILE and -1 or 1 for each), or CSV with a
/// header whose first column is the file and no quotes. 0 and -1 are no, 1 is yes. Anything else is kInput, naming the
/// line.
AttributeTable read_attribute_table(core::FileSystem& files, const std::string& path);

/// The same pictures with the attributes of their rows, found by a picture's path below the source or else by its file
/// name. Pictures without a row are kInput, and so is a row that fits several; rows without a picture are counted in
/// the description.
std::unique_ptr<PictureSource> with_attributes(std::unique_ptr<PictureSource> pictures, AttributeTable table);

}  // namespace pathline::data
