// SPDX-License-Identifier: Apache-2.0
// HDF5 files as sources of pictures: one array of all of them (what open_source() reads), or one data set a picture, as
// the HDF5 Image and Palette Specification 1.2 has them.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/random.h"
#include "data/foreign.h"
#include "data/import_sources.h"

namespace pathline::data {

namespace {

using core::ExitCode;

constexpr std::size_t kMostPictures = 10'000'000;
constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;  // as of PNG and JPEG

std::string text_of(const hdf5::File& file, const std::string& name, const char* attribute) {
  return file.text(name, attribute).value_or("");
}

std::vector<std::uint8_t> bytes_of(const hdf5::File& file, const hdf5::DataSet& set) {
  PL_CHECK(set.is(hdf5::Element::kUint8), ExitCode::kInput, set.describe(), " in ", file.path(),
           " is not of 8 bits (uint8). Choose other pictures with --under, or leave it out with --skip-bad.");
  check_inside(file, set);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(set.elements()));
  set.read(0, set.shape()[0], hdf5::Element::kUint8, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

/// How the three colours of a picture lie: steps between neighbours in a row, between rows, and between colours.
struct Steps {
  std::int64_t height = 0, width = 0, x = 0, y = 0, colour = 0;
};

/// Of (H, W, 3), (3, H, W) or (H, 3, W); height 0 where the attributes do not say, or not what the shape says.
Steps steps_of(const std::string& interlace, const std::vector<std::int64_t>& shape) {
  if (shape.size() != 3) return {};
  if (interlace == "INTERLACE_PIXEL" && shape[2] == 3) return {shape[0], shape[1], 3, 3 * shape[1], 1};
  if (interlace == "INTERLACE_PLANE" && shape[0] == 3) return {shape[1], shape[2], 1, shape[2], shape[1] * shape[2]};
  if (interlace == "INTERLACE_LINE" && shape[1] == 3) return {shape[0], shape[2], 1, 3 * shape[2], shape[2]};
  return {};
}

Image true_colour(const Steps& steps, const std::vector<std::uint8_t>& bytes) {
  Image image(steps.height, steps.width, 3);
  for (std::int64_t y = 0; y < steps.height; ++y) {
    for (std::int64_t x = 0; x < steps.width; ++x) {
      for (std::int64_t c = 0; c < 3; ++c) {
        image.at(y, x, c) = bytes[static_cast<std::size_t>(y * steps.y + x * steps.x + c * steps.colour)];
      }
    }
  }
  return image;
}

/// Rows of red, green and blue.
std::vector<std::uint8_t> palette_of(const hdf5::File& file, const std::string& picture) {
  const std::string name = file.referred(picture, "PALETTE");
  PL_CHECK(!name.empty(), ExitCode::kInput, picture, " in ", file.path(),
           " has indices of colours, but its attribute PALETTE leads to no palette. Leave it out with --skip-bad.");
  const hdf5::DataSet set = file.data_set(name);
  const std::string model = file.text(name, "PAL_COLORMODEL").value_or("RGB");
  const std::string kind = file.text(name, "PAL_TYPE").value_or("STANDARD8");
  const bool plain = model == "RGB" && (kind == "STANDARD8" || kind == "DIRECTINDEX");
  PL_CHECK(plain && set.shape().size() == 2 && set.shape()[0] > 0 && set.shape()[1] == 3, ExitCode::kInput,
           set.describe(), ", the palette of ", picture, " in ", file.path(), ", is ", model, " of type ", kind,
           " (rows of red, green and blue are understood). Leave the picture out with --skip-bad.");
  return bytes_of(file, set);
}

Image indexed(const hdf5::File& file, const hdf5::DataSet& set, const std::vector<std::uint8_t>& indices) {
  const std::vector<std::uint8_t> palette = palette_of(file, set.name());
  Image image(set.shape()[0], set.shape()[1], 3);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::size_t at = 3 * std::size_t{indices[i]};
    PL_CHECK(at < palette.size(), ExitCode::kInput, set.name(), " in ", file.path(), " has the colour ",
             static_cast<int>(indices[i]), ", and its palette ", palette.size() / 3,
             " of them. The file is damaged; leave the picture out with --skip-bad.");
    std::copy_n(palette.begin() + static_cast<std::ptrdiff_t>(at), 3,
                image.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i));
  }
  return image;
}

Image grey(const hdf5::File& file, const hdf5::DataSet& set, std::vector<std::uint8_t> bytes) {
  Image image(set.shape()[0], set.shape()[1], 1);
  image.pixels = std::move(bytes);
  if (file.integer(set.name(), "IMAGE_WHITE_IS_ZERO") != 1) return image;
  for (std::uint8_t& level : image.pixels) level = static_cast<std::uint8_t>(255 - level);
  return image;
}

Image picture_of(const hdf5::File& file, const std::string& name) {
  const hdf5::DataSet set = file.data_set(name);
  const std::vector<std::int64_t>& shape = set.shape();
  const std::string kind = text_of(file, name, "IMAGE_SUBCLASS"), interlace = text_of(file, name, "INTERLACE_MODE");
  PL_CHECK(set.elements() > 0 && set.elements() <= std::uint64_t{kMostPixels} * 3, ExitCode::kInput, set.describe(),
           " in ", file.path(), " is no picture of 1 to 2^28 pixels. Leave it out with --skip-bad.");
  const Steps steps = steps_of(interlace, shape);
  if (kind == "IMAGE_TRUECOLOR" && steps.height > 0) return true_colour(steps, bytes_of(file, set));
  const bool flat = shape.size() == 2;
  if (flat && (kind == "IMAGE_INDEXED" || (kind.empty() && file.has_attribute(name, "PALETTE")))) {
    return indexed(file, set, bytes_of(file, set));
  }
  if (flat && (kind == "IMAGE_GRAYSCALE" || kind.empty())) return grey(file, set, bytes_of(file, set));
  throw core::Error(ExitCode::kInput, core::concat(set.describe(), " in ", file.path(), " is not one picture (",
                                                   kind.empty() ? "no IMAGE_SUBCLASS" : kind, ", ",
                                                   interlace.empty() ? "no INTERLACE_MODE" : interlace,
                                                   "). Leave it out with --skip-bad; if it is an array of pictures, "
                                                   "choose it alone, as ",
                                                   file.path(), ":", name, "."));
}

class PicturesOfFile final : public PictureSource {
 public:
  PicturesOfFile(hdf5::File file, std::vector<std::string> names, const std::string& under, std::uint64_t stamp)
      : file_(std::move(file)),
        names_(std::move(names)),
        stamp_(stamp),
        classes_(class_folders(below_root(names_), file_.path())) {
    const std::size_t classes = classes_.class_names.size();
    description_ = core::concat("HDF5 file of ", names_.size(), " pictures, one a data set",
                                under.empty() ? "" : " below " + under, ", ",
                                classes > 0 ? core::concat(classes, " groups as classes") : "no class groups");
  }

  std::int64_t count() const override { return static_cast<std::int64_t>(names_.size()); }
  Image picture(std::int64_t index) const override {
    return picture_of(file_, names_[static_cast<std::size_t>(index)]);
  }
  std::int64_t label(std::int64_t index) const override { return classes_.labels[static_cast<std::size_t>(index)]; }
  std::int64_t classes() const override { return static_cast<std::int64_t>(classes_.class_names.size()); }
  const std::vector<std::string>& class_names() const override { return classes_.class_names; }
  const std::string& description() const override { return description_; }
  std::string name(std::int64_t index) const override { return names_[static_cast<std::size_t>(index)]; }
  std::uint64_t stamp(std::int64_t) const override { return stamp_; }

 private:
  static std::vector<std::string> below_root(std::vector<std::string> names) {
    for (std::string& name : names) name.erase(0, 1);
    return names;
  }

  hdf5::File file_;
  std::vector<std::string> names_;
  std::uint64_t stamp_;
  ClassFolders classes_;
  std::string description_;
};

bool is_picture(const hdf5::File& file, const std::string& name) { return text_of(file, name, "CLASS") == "IMAGE"; }

/// "images" and "/images/" -> "/images/"
std::string as_prefix(std::string under) {
  if (under.empty() || under.front() != '/') under.insert(0, 1, '/');
  if (under.back() != '/') under += '/';
  return under;
}

}  // namespace

bool holds_pictures(const hdf5::File& file) {
  return std::ranges::any_of(file.data_set_names(kMostPictures),
                             [&](const std::string& name) { return is_picture(file, name); });
}

bool is_hdf5(core::FileSystem& files, const std::string& path) {
  constexpr std::array<unsigned char, 8> kSignature = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  const std::uint64_t size = files.size(path);
  std::array<std::byte, kSignature.size()> found;
  for (std::uint64_t at = 0; at + found.size() <= size; at = at == 0 ? 512 : 2 * at) {  // behind a user block
    files.read(path, at, found);
    if (std::ranges::equal(found, std::as_bytes(std::span(kSignature)))) return true;
  }
  return false;
}

std::unique_ptr<PictureSource> open_hdf5(core::FileSystem& files, const std::string& source, const std::string& under) {
  const auto [path, selection] = selected(source);
  const std::uint64_t stamp = file_stamp(files, path);
  if (selection.pixels.empty() && is_hdf5(files, path)) {
    hdf5::File file = hdf5::File::open(path);
    if (file.text("/", "format") != "pathline-images" && !holds_stack(file)) {
      std::vector<std::string> names = file.data_set_names(kMostPictures);
      const std::string prefix = as_prefix(under);
      std::erase_if(names, [&](const auto& name) { return !name.starts_with(prefix) || !is_picture(file, name); });
      if (!names.empty()) return std::make_unique<PicturesOfFile>(std::move(file), std::move(names), under, stamp);
    }
  }
  PL_CHECK(under.empty(), ExitCode::kUsage, "--under ", under, " was given, but ", path,
           " has no pictures of their own there (one data set each). Choose an array by its name, as ", path,
           ":/NAME.");
  auto store = open_source({source});
  const std::string digest = store->info().digest;  // of an index, the parts' own
  return pictures_of(std::move(store), core::hash_name(core::concat(stamp, " ", digest)));
}

}  // namespace pathline::data
