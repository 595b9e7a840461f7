// SPDX-License-Identifier: Apache-2.0
// ZIP archives of pictures: labels in dataset.json, as StyleGAN's and EDM's dataset_tool.py write it, or class folders.
// Members are read in place, stored or deflated.
#include <algorithm>
#include <optional>

#include "core/error.h"
#include "data/byte_stream.h"
#include "data/dataset_json.h"
#include "data/import_sources.h"
#include "data/zip.h"

namespace pathline::data {
namespace {

/// What file managers add: "__MACOSX/cat/._1.png", ".thumbnails/1.png".
bool is_hidden(const std::string& name) {
  return name.starts_with(".") || name.starts_with("__MACOSX/") || name.find("/.") != std::string::npos;
}

std::string text_of(const ZipReader& zip, const ZipMember& member) {
  const auto bytes = read_all(*zip.open(member));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

bool is_zip_of_pictures(core::FileSystem& files, const std::string& path) {
  const ZipReader zip(files, path);
  return std::ranges::any_of(zip.members(), [](const ZipMember& m) { return has_picture_ending(m.name); });
}

std::unique_ptr<PictureSource> open_zip(core::FileSystem& files, const std::string& path, const std::string& under) {
  EncodedSet set;
  set.archive = std::make_shared<const ZipReader>(files, path);
  const std::uint64_t stamp = file_stamp(files, path);
  for (const ZipMember& member : set.archive->members()) {
    if (!has_picture_ending(member.name) || is_hidden(member.name)) continue;
    EncodedPicture& picture = set.pictures.emplace_back();
    picture.name = member.name;
    picture.member = &member;
    picture.stamp = stamp;
  }
  std::ranges::sort(set.pictures, {}, &EncodedPicture::name);
  const ZipMember* member = set.archive->find(kDatasetJson);
  const auto listing = member != nullptr ? std::optional(text_of(*set.archive, *member)) : std::nullopt;
  assign_labels(set, "zip", listing, under, path);
  return encoded_pictures(files, std::move(set));
}

}  // namespace pathline::data
