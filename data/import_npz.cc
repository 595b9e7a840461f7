// SPDX-License-Identifier: Apache-2.0
// .npz with pictures uint8 (N, H, W, C) or (N, H, W), as guided-diffusion writes samples: arr_0, labels in arr_1.
// Stored pictures are read from their place in the file, one by one; deflated ones are unpacked into memory.
#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "data/import_sources.h"
#include "data/npz.h"

namespace pathline::data {
namespace {

using core::ExitCode;

class StoredItems final : public ShardSource {
 public:
  StoredItems(core::FileSystem& files, std::string path, std::uint64_t offset, SetInfo info,
              std::vector<std::int64_t> labels)
      : files_(files), path_(std::move(path)), offset_(offset), info_(std::move(info)), labels_(std::move(labels)) {}
  const SetInfo& info() const override { return info_; }
  void read(std::int64_t index, std::span<std::byte> out) const override {
    files_.read(path_, offset_ + static_cast<std::uint64_t>(index) * info_.item_bytes(), out);
  }
  std::int64_t label(std::int64_t index) const override {
    return labels_.empty() ? -1 : labels_[static_cast<std::size_t>(index)];
  }

 private:
  core::FileSystem& files_;
  std::string path_;
  std::uint64_t offset_;
  SetInfo info_;
  std::vector<std::int64_t> labels_;
};

bool holds_pictures(const NpyHeader& header) {
  const auto& shape = header.shape;
  const bool shaped = shape.size() == 3 || (shape.size() == 4 && (shape[3] == 1 || shape[3] == 3));
  return header.dtype == "u1" && shaped && std::all_of(shape.begin(), shape.end(), [](auto d) { return d > 0; });
}

std::string described(const NpzReader& npz) {
  std::vector<std::string> arrays;
  for (const auto& name : npz.names()) {
    const NpyHeader header = npz.header(name);
    std::string text = name + " " + header.dtype + " (";
    for (std::size_t i = 0; i < header.shape.size(); ++i) text += core::concat(i ? ", " : "", header.shape[i]);
    arrays.push_back(text + ")");
  }
  return core::listed(arrays);
}

/// arr_0, or the only array that can be pictures.
std::string pick_pictures(const NpzReader& npz, const std::string& path) {
  std::vector<std::string> found;
  for (const auto& name : npz.names()) {
    if (holds_pictures(npz.header(name))) found.push_back(name);
  }
  if (std::find(found.begin(), found.end(), "arr_0") != found.end()) return "arr_0";
  PL_CHECK(found.size() == 1, ExitCode::kInput, path, " has ", found.empty() ? "no array" : "several arrays",
           " of pictures (uint8 of count x height x width x 1 or 3 channels); it has: ", described(npz),
           ". Name one, and its labels, as ", path, ":PICTURES,LABELS.");
  return found.front();
}

std::string pick_labels(const NpzReader& npz, const std::string& pictures) {
  if (pictures == "arr_0" && npz.has("arr_1")) return "arr_1";
  for (const char* name : {"labels", "label", "y", "y_train"}) {
    if (npz.has(name)) return name;
  }
  return "";
}

template <class T>
std::vector<std::int64_t> widened(const NpyArray& array) {
  const auto values = array.as<T>();
  return {values.begin(), values.end()};
}

std::vector<std::int64_t> integers(const NpyArray& array, const std::string& origin) {
  if (array.dtype == "i8") return widened<std::int64_t>(array);
  if (array.dtype == "i4") return widened<std::int32_t>(array);
  if (array.dtype == "u1") return widened<std::uint8_t>(array);
  if (array.dtype == "u2") return widened<std::uint16_t>(array);
  if (array.dtype == "i2") return widened<std::int16_t>(array);
  throw core::Error(ExitCode::kInput, core::concat(origin, " has elements of type ", array.dtype,
                                                   "; labels are whole numbers (u1, i2, u2, i4 or i8)."));
}

std::vector<std::int64_t> labels_from(const NpzReader& npz, const std::string& name, std::int64_t count,
                                      const std::string& path) {
  if (name.empty()) return {};
  const std::string origin = path + " (" + name + ")";
  auto labels = integers(npz.read(name), origin);
  PL_CHECK(static_cast<std::int64_t>(labels.size()) == count && *std::min_element(labels.begin(), labels.end()) >= 0,
           ExitCode::kInput, origin, " does not hold one label from 0 for each of ", count, " pictures.");
  return labels;
}

}  // namespace

std::unique_ptr<PictureSource> open_npz(core::FileSystem& files, const std::string& path,
                                        const std::string& selection) {
  const NpzReader npz(files, path);
  const auto comma = selection.find(',');
  const std::string pictures = selection.empty() ? pick_pictures(npz, path) : selection.substr(0, comma);
  const std::string label_name = selection.empty()            ? pick_labels(npz, pictures)
                                 : comma == std::string::npos ? ""
                                                              : selection.substr(comma + 1);
  const NpyHeader header = npz.header(pictures);
  PL_CHECK(holds_pictures(header), ExitCode::kInput, path, " (", pictures,
           ") holds no pictures: uint8 of count x height x width x 1 or 3 channels is expected. It has: ",
           described(npz), ".");
  SetInfo info;
  info.count = header.shape[0];
  info.height = header.shape[1];
  info.width = header.shape[2];
  info.channels = header.shape.size() == 4 ? header.shape[3] : 1;
  auto labels = labels_from(npz, label_name, info.count, path);
  if (!labels.empty()) info.classes = *std::max_element(labels.begin(), labels.end()) + 1;
  info.description = core::concat(".npz, ", info.count, " pictures in ", pictures,
                                  labels.empty() ? ", no labels" : ", labels in " + label_name);
  std::unique_ptr<ShardSource> items;
  if (const auto offset = npz.offset(pictures)) {
    items = std::make_unique<StoredItems>(files, path, *offset, std::move(info), std::move(labels));
  } else {
    items = source_in_memory(std::move(info), npz.read(pictures).bytes, std::move(labels));
  }
  return pictures_of(std::move(items), file_stamp(files, path));
}

}  // namespace pathline::data
