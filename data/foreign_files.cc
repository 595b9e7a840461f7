// SPDX-License-Identifier: Apache-2.0
// HDF5 files of others, read as they are: BigGAN (`imgs` NCHW, `labels`), PCAM (`x` and `y`, also in two files),
// 3dshapes (`images`), course files (`train_set_x`, `train_set_y`, `list_classes`). Nothing is guessed: what could be
// read in two ways is an error that lists what was found.
#include <algorithm>
#include <array>
#include <filesystem>

#include "core/error.h"
#include "core/file_system.h"
#include "data/recognised.h"

namespace pathline::data {

namespace {

using core::ExitCode;
using DataSets = std::vector<hdf5::DataSet>;
using Which = std::vector<const hdf5::DataSet*>;

constexpr std::array kPixelNames = {"/images", "/imgs",   "/image",          "/x",           "/X",
                                    "/data",   "/pixels", "/image_features", "/train_set_x", "/test_set_x"};
constexpr std::array kLabelNames = {"/labels", "/label", "/y",       "/Y",           "/targets",
                                    "/target", "/ans",   "/classes", "/train_set_y", "/test_set_y"};
constexpr std::array kClassNames = {"/list_classes", "/class_names", "/label_names"};

template <class Names>
bool among(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

bool channels_like(std::int64_t size) { return size == 1 || size == 3 || size == 4; }

std::string list_of(const DataSets& sets) {
  std::string text;
  for (const hdf5::DataSet& set : sets) text += (text.empty() ? "" : "; ") + set.describe();
  return text.empty() ? "nothing" : text;
}

/// (N, H, W, C), (N, C, H, W), or grey (N, H, W).
bool image_shaped(const hdf5::DataSet& set) {
  const auto& shape = set.shape();
  if (!std::ranges::all_of(shape, [](std::int64_t size) { return size > 0; })) return false;
  return shape.size() == 4 || (shape.size() == 3 && !channels_like(shape[2]));
}

Which matching(const DataSets& sets, const auto& wanted) {
  Which found;
  for (const hdf5::DataSet& set : sets) {
    if (wanted(set)) found.push_back(&set);
  }
  return found;
}

const hdf5::DataSet& chosen(const hdf5::File& file, const DataSets& sets, const std::string& name) {
  const auto at = std::ranges::find(sets, name, &hdf5::DataSet::name);
  PL_CHECK(at != sets.end(), ExitCode::kInput, file.path(), " has no data set ", name, ". Found: ", list_of(sets), ".");
  return *at;
}

/// The one data set of pixels.
const hdf5::DataSet& pixels_of(const hdf5::File& file, const DataSets& sets, const Selection& selection) {
  if (!selection.pixels.empty()) return chosen(file, sets, selection.pixels);
  Which found = matching(sets, [](const auto& set) { return among(kPixelNames, set.name()) && image_shaped(set); });
  if (found.empty()) {
    found = matching(sets, [](const auto& set) {
      return set.shape().size() == 4 && image_shaped(set) && set.is(hdf5::Element::kUint8);
    });
  }
  PL_CHECK(!found.empty(), ExitCode::kInput, file.path(), " holds no images that Pathline knows: an array of ",
           "8-bit pixels of (count, height, width, channels) or (count, channels, height, width), named /images, ",
           "/imgs, /x or /data. Found: ", list_of(sets), ". Choose one by its name, as ", file.path(), ":/NAME.");
  PL_CHECK(found.size() == 1, ExitCode::kInput, file.path(),
           " holds several arrays that may be the images: ", list_of(sets), ". Choose one by its name, as ",
           file.path(), ":", found[0]->name(), ".");
  return *found[0];
}

/// Count, shape and layout; the axis of size 1, 3 or 4 is the channels.
Layout learn_shape(const hdf5::File& file, const hdf5::DataSet& pixels, bool range_known, SetInfo& info) {
  PL_CHECK(image_shaped(pixels), ExitCode::kInput, pixels.describe(), " in ", file.path(),
           " has not the shape of images. Choose an array of (count, height, width, channels).");
  PL_CHECK(
      !pixels.is_float() || range_known, ExitCode::kInput, pixels.describe(), " in ", file.path(),
      " holds floating-point pixels (what black and white are is not written there, and a wrong guess would train ",
      "in silence). Name their range: ", file.path(), ":", pixels.name(), "@0..1, or @-1..1, or @0..255.");
  PL_CHECK(pixels.is_integer() || pixels.is_float(), ExitCode::kInput, pixels.describe(), " in ", file.path(),
           " does not hold numbers. Choose an array of 8-bit pixels.");
  const auto& shape = pixels.shape();
  info.count = shape[0];
  if (shape.size() == 3) {
    info.height = shape[1], info.width = shape[2], info.channels = 1;
    return Layout::kChannelsLast;
  }
  const bool first = channels_like(shape[1]), last = channels_like(shape[3]);
  PL_CHECK(first != last, ExitCode::kInput, pixels.describe(), " in ", file.path(), first ? " may be" : " is neither",
           " (count, channels, height, width)", first ? " as well as" : " nor",
           " (count, height, width, channels) with ",
           "1, 3 or 4 channels. Store it as /images of (count, height, width, channels) with `pathline data import`.");
  info.channels = first ? shape[1] : shape[3];
  info.height = first ? shape[2] : shape[1];
  info.width = first ? shape[3] : shape[2];
  return first ? Layout::kChannelsFirst : Layout::kChannelsLast;
}

/// One whole number a sample, up to axes of size 1.
bool label_shaped(const hdf5::DataSet& set, std::int64_t count) {
  return set.is_integer() && !set.shape().empty() && set.shape()[0] == count &&
         set.elements() == static_cast<std::uint64_t>(count);
}

/// "/train_set_x" -> "/train_set_y"; "" if the name does not end in x.
std::string partner(std::string name) {
  if (name.empty() || (name.back() != 'x' && name.back() != 'X')) return "";
  ++name.back();
  return name;
}

/// The one data set of labels among `sets`, or null.
const hdf5::DataSet* labels_among(const hdf5::File& file, const DataSets& sets, const std::string& pixels,
                                  std::int64_t count) {
  const Which found =
      matching(sets, [&](const auto& set) { return among(kLabelNames, set.name()) && label_shaped(set, count); });
  if (found.empty()) return nullptr;
  const auto own = std::ranges::find(found, partner(pixels), [](const auto* set) { return set->name(); });
  if (own != found.end()) return *own;
  PL_CHECK(found.size() == 1, ExitCode::kInput, file.path(),
           " holds several arrays that may be the labels: ", list_of(sets), ". Choose one by its name, as ",
           file.path(), ":", pixels, ",", found[0]->name(), ".");
  return found[0];
}

/// "..._x.h5" -> "..._y.h5" if that file exists, else "".
std::string label_file_of(const std::string& path) {
  std::string name = core::name_of(path);
  const std::size_t at = name.rfind("_x");
  if (at == std::string::npos) return "";
  name[at + 1] = 'y';
  const std::string other = core::join_path(core::parent_of(path), name);
  return std::filesystem::exists(other) ? other : "";
}

void learn_labels(const hdf5::File& file, const DataSets& sets, const Selection& selection, Recognised& found) {
  const std::int64_t count = found.info.count;
  if (!selection.labels.empty()) {
    const hdf5::DataSet& labels = chosen(file, sets, selection.labels);
    PL_CHECK(label_shaped(labels, count), ExitCode::kInput, labels.describe(), " in ", file.path(),
             " is not one whole ", "number for each of ", count, " samples. Choose another, or none.");
    found.labels = read_labels(file, labels);
    found.labels_text = "labels " + labels.describe();
  } else if (const hdf5::DataSet* labels = labels_among(file, sets, found.items.name(), count)) {
    found.labels = read_labels(file, *labels);
    found.labels_text = "labels " + labels->describe();
  } else if (const std::string path = label_file_of(file.path()); !path.empty()) {
    const hdf5::File other = hdf5::File::open(path);
    const DataSets others = other.data_sets();
    const hdf5::DataSet* there = labels_among(other, others, found.items.name(), count);
    PL_CHECK(there, ExitCode::kInput, path, " should hold the ", count, " labels of ", file.path(), ", but holds ",
             list_of(others), ". Move it away to read the images without labels.");
    found.labels = read_labels(other, *there);
    found.labels_text = "labels " + there->describe() + " of " + core::name_of(path);
  } else {
    const Which named = matching(sets, [](const auto& set) { return among(kLabelNames, set.name()); });
    found.labels_text =
        named.empty() ? "no labels" : "no labels (" + named[0]->describe() + " is not one class a sample)";
  }
}

}  // namespace

Recognised recognise_foreign(const hdf5::File& file, const Selection& selection) {
  const DataSets sets = file.data_sets();
  const std::string name = pixels_of(file, sets, selection).name();
  Recognised found{.info = {}, .items = file.data_set(name)};
  found.layout = learn_shape(file, found.items, selection.range.has_value(), found.info);
  found.range = selection.range.value_or(PixelRange{});
  learn_labels(file, sets, selection, found);
  const Which names = matching(sets, [](const auto& set) { return among(kClassNames, set.name()) && set.is_text(); });
  if (!found.labels.empty() && names.size() == 1) found.info.class_names = names[0]->read_texts();
  found.info.description = core::concat(found.items.describe(), " as ", found.info.count, " images of ",
                                        found.info.height, "x", found.info.width, "x", found.info.channels,
                                        found.layout == Layout::kChannelsFirst ? " (NCHW)" : " (NHWC)");
  return found;
}

}  // namespace pathline::data
