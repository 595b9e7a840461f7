// SPDX-License-Identifier: Apache-2.0
// HDF5 files of others, read as they are: BigGAN (`imgs` NCHW, `labels`), PCAM (`x` and `y`, also in two files),
// 3dshapes (`images`), Fuel (`features`, `targets`), rows of numbers (`data`, `target`), course files (`train_set_x`,
// `train_set_y`, `list_classes`). Nothing is guessed: what could be read in two ways is an error that lists what was
// found and what decides.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "data/foreign.h"
#include "data/item_reader.h"

namespace pathline::data {

namespace {

using core::ExitCode;
using Shape = std::vector<std::int64_t>;

constexpr std::array kPixelNames = {"/images", "/imgs",           "/image",    "/x",           "/X",         "/data",
                                    "/pixels", "/image_features", "/features", "/train_set_x", "/test_set_x"};
constexpr std::array kClassNames = {"/list_classes", "/class_names", "/label_names"};
constexpr std::array kChannels = {1, 3, 4};

bool channels_like(std::int64_t size) { return std::ranges::find(kChannels, size) != kChannels.end(); }

/// (N, H, W, C), (N, C, H, W), or grey (N, H, W).
bool image_shaped(const Shape& shape) {
  if (!std::ranges::all_of(shape, [](std::int64_t size) { return size > 0; })) return false;
  return shape.size() == 4 || (shape.size() == 3 && !channels_like(shape[2]));
}

/// (N, V): a row of numbers an image.
bool row_shaped(const hdf5::DataSet& set) {
  return set.shape().size() == 2 && set.shape()[0] > 0 && set.shape()[1] > 1 && (set.is_integer() || set.is_float());
}

/// The arrays that may be the pixels: of a known name, else of the usual shape, else of a known name and rows.
Which pixel_candidates(const DataSets& sets) {
  Which found =
      matching(sets, [](const auto& set) { return among(kPixelNames, set.name()) && image_shaped(set.shape()); });
  if (found.empty()) {
    found = matching(sets, [](const auto& set) {
      return set.shape().size() == 4 && image_shaped(set.shape()) && set.is(hdf5::Element::kUint8);
    });
  }
  if (!found.empty()) return found;
  return matching(sets, [](const auto& set) { return among(kPixelNames, set.name()) && row_shaped(set); });
}

/// The one data set of pixels.
const hdf5::DataSet& pixels_of(const hdf5::File& file, const DataSets& sets, const Selection& selection) {
  if (!selection.pixels.empty()) return chosen(file, sets, selection.pixels);
  const Which found = pixel_candidates(sets);
  PL_CHECK(!found.empty() || !holds_pictures(file), ExitCode::kInput, file.path(),
           " holds single pictures, one a data set (HDF5 Image attributes), not one array of images. Make a store of "
           "them with `pathline data import ",
           file.path(), " -o OUT.h5 --size N`, or choose an array of images by its name, as ", file.path(), ":/NAME.");
  PL_CHECK(!found.empty(), ExitCode::kInput, file.path(), " holds no images that Pathline knows: an array of ",
           "8-bit pixels of (count, height, width, channels) or (count, channels, height, width), named /images, ",
           "/imgs, /x or /data. Found: ", list_of(sets), ". Choose one by its name, as ", file.path(), ":/NAME.");
  PL_CHECK(found.size() == 1, ExitCode::kInput, file.path(),
           " holds several arrays that may be the images: ", list_of(sets), ". Choose one by its name, as ",
           file.path(), ":", found[0]->name(), ".");
  return *found[0];
}

/// "28x28", "32x32x3 or 3x32x32": squares that a row of `values` numbers may be.
std::string possible_shapes(std::int64_t values) {
  std::string text;
  for (const std::int64_t channels : kChannels) {
    const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(values / channels))));
    if (side * side * channels != values) continue;
    const std::string square = core::concat(side, "x", side);
    text += text.empty() ? "" : " or ";
    text += channels == 1 ? square : core::concat(square, "x", channels, " or ", channels, "x", square);
  }
  return text.empty() ? "HEIGHTxWIDTHxCHANNELS" : text;
}

/// The shape of the array; where an image is one row of numbers, with the row as its user says that it is.
Shape shape_of(const hdf5::File& file, const hdf5::DataSet& pixels, const Selection& selection) {
  Shape shape = pixels.shape();
  const std::string place = core::concat(file.path(), ":", pixels.name());
  if (selection.row.empty()) {
    PL_CHECK(!row_shaped(pixels), ExitCode::kInput, pixels.describe(), " in ", file.path(), " holds rows of ", shape[1],
             " numbers (what their height, width and channels are is not written there: ", possible_shapes(shape[1]),
             "?). Name the shape: ", place, "@HEIGHTxWIDTH, @HEIGHTxWIDTHxCHANNELS or @CHANNELSxHEIGHTxWIDTH.");
    return shape;
  }
  std::uint64_t values = 1;
  for (const std::int64_t size : selection.row) values *= static_cast<std::uint64_t>(size);
  PL_CHECK(!shape.empty() && shape[0] > 0 && values * static_cast<std::uint64_t>(shape[0]) == pixels.elements(),
           ExitCode::kInput, pixels.describe(), " in ", file.path(), " has not ", values, " numbers an image, which ",
           hdf5::shape_text(selection.row), " asks for. Name another shape behind the @.");
  shape.resize(1);
  shape.insert(shape.end(), selection.row.begin(), selection.row.end());
  return shape;
}

void check_numbers(const hdf5::File& file, const hdf5::DataSet& pixels, const Selection& selection) {
  PL_CHECK(
      !pixels.is_float() || selection.range, ExitCode::kInput, pixels.describe(), " in ", file.path(),
      " holds floating-point pixels (what black and white are is not written there, and a wrong guess would train ",
      "in silence). Name their range: ", file.path(), ":", pixels.name(), "@0..1, or @-1..1, or @0..255.");
  PL_CHECK(pixels.is_integer() || pixels.is_float(), ExitCode::kInput, pixels.describe(), " in ", file.path(),
           " does not hold numbers. Choose an array of 8-bit pixels.");
}

/// Count, shape and layout; the axis of size 1, 3 or 4 is the channels.
Layout learn_shape(const hdf5::File& file, const hdf5::DataSet& pixels, const Selection& selection, SetInfo& info) {
  const Shape shape = shape_of(file, pixels, selection);
  PL_CHECK(image_shaped(shape), ExitCode::kInput, pixels.describe(), " in ", file.path(),
           " has not the shape of images. Choose an array of (count, height, width, channels).");
  check_numbers(file, pixels, selection);
  info.count = shape[0];
  if (shape.size() == 3) {
    info.height = shape[1], info.width = shape[2], info.channels = 1;
    return Layout::kChannelsLast;
  }
  const bool could_be_first = channels_like(shape[1]), could_be_last = channels_like(shape[3]);
  PL_CHECK(could_be_first != could_be_last || selection.layout, ExitCode::kInput, pixels.describe(), " in ",
           file.path(), could_be_first ? " may be" : " is neither", " (count, channels, height, width)",
           could_be_first ? " as well as" : " nor", " (count, height, width, channels) with 1, 3 or 4 channels. Say ",
           "which: ", file.path(), ":", pixels.name(), "@nchw or @nhwc.");
  const bool first = selection.layout ? *selection.layout == Layout::kChannelsFirst : could_be_first;
  info.channels = first ? shape[1] : shape[3];
  info.height = first ? shape[2] : shape[1];
  info.width = first ? shape[3] : shape[2];
  return first ? Layout::kChannelsFirst : Layout::kChannelsLast;
}

}  // namespace

std::string list_of(const DataSets& sets) {
  std::string text;
  for (const hdf5::DataSet& set : sets) text += (text.empty() ? "" : "; ") + set.describe();
  return text.empty() ? "nothing" : text;
}

const hdf5::DataSet& chosen(const hdf5::File& file, const DataSets& sets, const std::string& name) {
  const auto at = std::ranges::find(sets, name, &hdf5::DataSet::name);
  PL_CHECK(at != sets.end(), ExitCode::kInput, file.path(), " has no data set ", name, ". Found: ", list_of(sets), ".");
  return *at;
}

bool holds_stack(const hdf5::File& file) { return !pixel_candidates(file.data_sets()).empty(); }

Recognised recognise_foreign(const hdf5::File& file, const Selection& selection) {
  const DataSets sets = file.data_sets();
  const std::string name = pixels_of(file, sets, selection).name();
  Recognised found{.info = {}, .items = file.data_set(name)};
  found.layout = learn_shape(file, found.items, selection, found.info);
  found.range = selection.range.value_or(PixelRange{});
  learn_foreign_labels(file, sets, selection, found);
  const Which names = matching(sets, [](const auto& set) { return among(kClassNames, set.name()) && set.is_text(); });
  if (!found.labels.empty() && names.size() == 1) {
    check_inside(file, *names[0]);
    found.info.class_names = names[0]->read_texts();
  }
  found.info.description = core::concat(found.items.describe(), " as ", found.info.count, " images of ",
                                        found.info.height, "x", found.info.width, "x", found.info.channels,
                                        found.layout == Layout::kChannelsFirst ? " (NCHW)" : " (NHWC)",
                                        file.has_attribute("/", "split") ? ", all of its splits" : "");
  return found;
}

}  // namespace pathline::data
