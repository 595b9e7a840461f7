// SPDX-License-Identifier: Apache-2.0
// The two ways pictures come: as items of one shape, or as encoded files.
#include "core/error.h"
#include "core/random.h"
#include "data/byte_stream.h"
#include "data/import_sources.h"
#include "data/jpeg.h"
#include "data/png.h"

namespace pathline::data {
namespace {

using core::ExitCode;

class PicturesOfSet final : public PictureSource {
 public:
  PicturesOfSet(std::unique_ptr<ShardSource> source, std::uint64_t stamp) : source_(std::move(source)), stamp_(stamp) {}

  std::int64_t count() const override { return source_->info().count; }
  Image picture(std::int64_t index) const override {
    const SetInfo& info = source_->info();
    Image image(info.height, info.width, info.channels);
    source_->read(index, std::as_writable_bytes(std::span(image.pixels)));
    return image;
  }
  std::int64_t label(std::int64_t index) const override { return source_->label(index); }
  std::int64_t classes() const override { return source_->info().classes; }
  const std::vector<std::string>& class_names() const override { return source_->info().class_names; }
  const std::string& description() const override { return source_->info().description; }
  std::uint64_t stamp(std::int64_t) const override { return stamp_; }
  const std::vector<std::string>& attribute_names() const override { return source_->info().attribute_names; }
  std::vector<std::uint8_t> attributes(std::int64_t index) const override {
    std::vector<std::uint8_t> values(attribute_names().size());
    if (!values.empty()) source_->read_attributes(index, values);
    return values;
  }

 private:
  std::unique_ptr<ShardSource> source_;
  std::uint64_t stamp_;
};

class EncodedPictures final : public PictureSource {
 public:
  EncodedPictures(core::FileSystem& files, EncodedSet set) : files_(files), set_(std::move(set)) {}

  std::int64_t count() const override { return static_cast<std::int64_t>(set_.pictures.size()); }
  Image picture(std::int64_t index) const override {
    const EncodedPicture& place = set_.pictures[static_cast<std::size_t>(index)];
    if (place.member == nullptr && place.path.empty()) {
      return decoded(std::span(set_.memory).subspan(place.offset, place.bytes), place.name);
    }
    return decoded(read(place), place.name);
  }
  std::int64_t label(std::int64_t index) const override { return set_.pictures[static_cast<std::size_t>(index)].label; }
  std::int64_t classes() const override { return set_.classes; }
  const std::vector<std::string>& class_names() const override { return set_.class_names; }
  const std::string& description() const override { return set_.description; }
  std::string name(std::int64_t index) const override { return set_.pictures[static_cast<std::size_t>(index)].name; }
  std::uint64_t stamp(std::int64_t index) const override {
    return set_.pictures[static_cast<std::size_t>(index)].stamp;
  }

 private:
  /// A file that cannot be read is one bad picture, not the end of the import.
  std::vector<std::byte> read(const EncodedPicture& place) const {
    try {
      if (place.member != nullptr) return read_all(*set_.archive->open(*place.member));
      std::vector<std::byte> bytes(place.bytes);
      files_.read(place.path, place.offset, bytes);
      return bytes;
    } catch (const core::Error& error) {
      throw core::Error(ExitCode::kInput, error.what());
    }
  }

  /// The content decides, not the name.
  static Image decoded(std::span<const std::byte> bytes, const std::string& name) {
    if (is_png(bytes)) return decode_png(bytes, name);
    PL_CHECK(is_jpeg(bytes), ExitCode::kInput, name, " is neither PNG nor JPEG, whatever its name says (", bytes.size(),
             " bytes). Replace the file, or leave it out.");
    return decode_jpeg(bytes, name);
  }

  core::FileSystem& files_;
  EncodedSet set_;
};

}  // namespace

const std::vector<std::string>& PictureSource::attribute_names() const {
  static const std::vector<std::string> kNone;
  return kNone;
}

std::uint64_t file_stamp(core::FileSystem& files, const std::string& path) {
  return core::hash_name(core::concat(files.size(path), " ", files.modified(path)));
}

std::unique_ptr<PictureSource> pictures_of(std::unique_ptr<ShardSource> source, std::uint64_t stamp) {
  PL_CHECK(source->info().kind == ItemKind::kImage, ExitCode::kInput, source->info().description,
           ": these are no pictures. A store of points or latents can be used as it is.");
  return std::make_unique<PicturesOfSet>(std::move(source), stamp);
}

std::unique_ptr<PictureSource> encoded_pictures(core::FileSystem& files, EncodedSet set) {
  return std::make_unique<EncodedPictures>(files, std::move(set));
}

}  // namespace pathline::data
