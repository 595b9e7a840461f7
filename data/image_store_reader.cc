// SPDX-License-Identifier: Apache-2.0
// Opens one HDF5 file: recognises our format (docs/formats/image-store.md), checks all that can be checked without
// reading pixels, and serves items from it.
#include <algorithm>

#include "core/error.h"
#include "core/file_system.h"
#include "data/content_digest.h"
#include "data/latents.h"
#include "data/recognised.h"
#include "data/text_columns.h"

namespace pathline::data {

namespace {

using core::ExitCode;

constexpr std::int64_t kVersion = 1;

void check_version(const hdf5::File& file) {
  const auto version = file.integer("/", "version");
  PL_CHECK(version && *version >= 1, ExitCode::kInput, file.path(),
           " is an image store without a version (its header is damaged). Import it again.");
  PL_CHECK(*version <= kVersion, ExitCode::kInput, file.path(), " is an image store of version ", *version,
           "; this program reads up to version ", kVersion, ". Use a newer Pathline.");
}

/// Kind, count and shape from the one data set of items.
SetInfo shape_of(const hdf5::File& file, const hdf5::DataSet& items, ItemKind kind) {
  SetInfo info;
  info.kind = kind;
  const std::vector<std::int64_t>& shape = items.shape();
  const bool image = kind == ItemKind::kImage;
  const bool good = shape.size() == (image ? 4u : 2u) &&
                    std::ranges::all_of(shape, [](auto size) { return size > 0; }) &&
                    items.is(image ? hdf5::Element::kUint8 : hdf5::Element::kFloat32);
  PL_CHECK(good, ExitCode::kInput, file.path(), " has ", items.describe(), " where an image store has ",
           image ? "/images uint8 of (count, height, width, channels)" : "/points float32 of (count, dimension)",
           ". The file is damaged or was made by something else.");
  info.count = shape[0];
  if (image) info.height = shape[1], info.width = shape[2];
  info.channels = shape.back();
  return info;
}

/// A data set of one number an item, or nothing where the file has none.
std::optional<hdf5::DataSet> column(const hdf5::File& file, const std::string& name, std::int64_t count) {
  if (!file.has(name)) return std::nullopt;
  hdf5::DataSet set = file.data_set(name);
  PL_CHECK(set.is_integer() && set.shape() == std::vector{count}, ExitCode::kInput, file.path(), " has ",
           set.describe(), " for ", count, " items (one whole number each belongs there). The file is damaged.");
  check_inside(file, set);
  return set;
}

std::string digest_of(const Recognised& found) {
  ContentDigest digest(found.info);
  for (std::size_t i = 0; i < found.crcs.size(); ++i)
    digest.add(found.crcs[i], found.labels.empty() ? -1 : found.labels[i]);
  return digest.text();
}

Recognised recognise_ours(const hdf5::File& file) {
  check_version(file);
  const bool latents = file.has("/latents"), image = !latents && file.has("/images");
  PL_CHECK(latents || image || file.has("/points"), ExitCode::kInput, file.path(),
           " is an image store without /images, /points and /latents. It was not finished; make it again.");
  hdf5::DataSet items = file.data_set(latents ? "/latents" : image ? "/images" : "/points");
  SetInfo info =
      latents ? latent_info(file, items) : shape_of(file, items, image ? ItemKind::kImage : ItemKind::kPoint);
  check_inside(file, items);
  Recognised found{.info = std::move(info), .items = std::move(items)};
  if (const auto labels = column(file, "/labels", found.info.count)) {
    found.labels = labels->read_integers();
    found.info.class_names = file.texts("/labels", "class_names");
    found.info.classes = file.integer("/labels", "classes").value_or(0);
  }
  if (const auto crcs = column(file, "/crc32c", found.info.count)) {
    found.crcs.resize(static_cast<std::size_t>(found.info.count));
    crcs->read(0, found.info.count, hdf5::Element::kUint32, std::as_writable_bytes(std::span(found.crcs)));
    found.info.digest = file.text("/", "content_digest").value_or("");
    PL_CHECK(found.info.digest == digest_of(found), ExitCode::kInput, file.path(),
             ": the content digest is stored as \"", found.info.digest, "\", but its labels and checksums give ",
             digest_of(found), ". The file is damaged; copy or import it again.");
  }
  found.info.description = core::concat("image store, ", found.items.describe());
  if (latents) found.info.description += described(found.info.latents);
  return found;
}

/// Number of classes, and every label inside it.
void check_labels(const std::string& path, Recognised& found) {
  if (found.labels.empty()) {
    found.info.classes = 0;
    return;
  }
  const std::int64_t named = static_cast<std::int64_t>(found.info.class_names.size());
  const std::int64_t largest = *std::ranges::max_element(found.labels);
  const std::int64_t classes = named > 0 ? named : found.info.classes > 0 ? found.info.classes : largest + 1;
  for (std::size_t i = 0; i < found.labels.size(); ++i) {
    const std::int64_t label = found.labels[i];
    PL_CHECK(label >= 0 && label < classes, ExitCode::kInput, "labels out of range in ", path, ": sample ", i,
             " has label ", label, ", and there are ", classes, " classes. Correct the labels or the class names.");
  }
  found.info.classes = classes;
}

/// /x0 of a generated set: one float an element of its item, in the same layout.
std::optional<ItemReader> starts_of(const hdf5::File& file, const SetInfo& info) {
  if (file.text("/", "format") != "pathline-images" || !file.has("/x0")) return std::nullopt;
  hdf5::DataSet starts = file.data_set("/x0");
  PL_CHECK(starts.is(hdf5::Element::kFloat32) && !starts.shape().empty() && starts.shape()[0] == info.count &&
               starts.elements() == static_cast<std::uint64_t>(info.count) * info.item_values(),
           ExitCode::kInput, file.path(), " has ", starts.describe(), " for ", info.count, " items of ",
           info.item_values(), " numbers (what each was made from belongs there). The file is damaged.");
  SetInfo floats;
  floats.kind = ItemKind::kPoint;
  floats.count = info.count;
  floats.channels = static_cast<std::int64_t>(info.item_values());
  return ItemReader(file, std::move(starts), floats, Layout::kChannelsLast);
}

/// /masks: one byte a pixel of its item, or a coordinate.
std::optional<ItemReader> masks_of(const hdf5::File& file, const SetInfo& info) {
  if (file.text("/", "format") != "pathline-images" || !file.has("/masks")) return std::nullopt;
  hdf5::DataSet masks = file.data_set("/masks");
  const bool point = info.kind == ItemKind::kPoint;
  const std::vector<std::int64_t> shape =
      point ? std::vector{info.count, info.channels} : std::vector{info.count, info.height, info.width};
  PL_CHECK(masks.is(hdf5::Element::kUint8) && masks.shape() == shape, ExitCode::kInput, file.path(), " has ",
           masks.describe(), " for ", info.count, " items (uint8 of (count, ", point ? "dimension" : "height, width",
           ") belongs there, not 0 where an item is known). Write it so.");
  SetInfo bytes;
  bytes.count = info.count;
  bytes.height = point ? 1 : info.height;
  bytes.width = point ? info.channels : info.width;
  bytes.channels = 1;
  return ItemReader(file, std::move(masks), bytes, Layout::kChannelsLast);
}

/// /attributes: one byte an attribute, 1 where the item has it.
std::optional<ItemReader> attributes_of(const hdf5::File& file, SetInfo& info) {
  if (file.text("/", "format") != "pathline-images" || !file.has("/attributes")) return std::nullopt;
  hdf5::DataSet set = file.data_set("/attributes");
  info.attribute_names = file.texts("/attributes", "attribute_names");
  const auto count = static_cast<std::int64_t>(info.attribute_names.size());
  PL_CHECK(count > 0 && set.is(hdf5::Element::kUint8) && set.shape() == std::vector({info.count, count}),
           ExitCode::kInput, file.path(), " has ", set.describe(), " and ", count, " attribute_names for ", info.count,
           " items (uint8 of (count, names) belongs there, 1 where an item has an attribute). Write it so.");
  SetInfo bytes;
  bytes.count = info.count;
  bytes.channels = count;
  return ItemReader(file, std::move(set), bytes, Layout::kChannelsLast);
}

/// Prompts beside the items of one of our sets.
std::optional<TextColumns> texts_of(const hdf5::File& file, SetInfo& info) {
  if (file.text("/", "format") != "pathline-images") return std::nullopt;
  std::optional<TextColumns> texts = TextColumns::in(file);
  if (!texts) return std::nullopt;
  PL_CHECK(texts->count() == info.count, ExitCode::kInput, file.path(), " has ", texts->count(), " prompts for ",
           info.count, " items (each is described by its own). Encode them again.");
  info.text = texts->shape();
  info.null_text = texts->null();
  info.description += ", " + described(info.text);
  return texts;
}

class FileSource final : public ShardSource {
 public:
  FileSource(const hdf5::File& file, Recognised found)
      : file_(core::name_of(file.path())),
        info_(std::move(found.info)),
        labels_(std::move(found.labels)),
        crcs_(std::move(found.crcs)),
        starts_(starts_of(file, info_)),
        masks_(masks_of(file, info_)),
        attributes_(attributes_of(file, info_)),
        texts_(texts_of(file, info_)),
        items_(file, std::move(found.items), info_, found.layout, found.range) {
    const std::string classes = labels_.empty() ? "no labels" : core::concat(info_.classes, " classes");
    info_.description = core::concat(file_, ": ", info_.description, ", ",
                                     found.labels_text.empty() ? classes : found.labels_text, "; ", items_.how());
  }

  const SetInfo& info() const override { return info_; }
  void read(std::int64_t index, std::span<std::byte> out) const override { items_.read(index, out); }
  void will_read(std::int64_t index) const override { items_.will_read(index); }
  void decode_now(std::int64_t index) const override { items_.decode_now(index); }
  std::vector<std::int64_t> decoded_together() const override {
    std::vector<std::int64_t> firsts;
    const std::int64_t together = items_.items_together();
    for (std::int64_t first = 0; together > 1 && first < info_.count; first += together) firsts.push_back(first);
    return firsts;
  }
  void decode_into(std::shared_ptr<DecodedChunks> store) override { items_.decode_into(std::move(store)); }
  std::int64_t label(std::int64_t index) const override {
    PL_ASSERT(index >= 0 && index < info_.count);
    return labels_.empty() ? -1 : labels_[static_cast<std::size_t>(index)];
  }
  std::string name_of(std::int64_t index) const override { return core::concat("item ", index, " of ", file_); }
  bool has_starts() const override { return starts_.has_value(); }
  void read_start(std::int64_t index, std::span<float> out) const override {
    PL_ASSERT(starts_.has_value());
    starts_->read(index, std::as_writable_bytes(out));
  }
  bool has_masks() const override { return masks_.has_value(); }
  void read_mask(std::int64_t index, std::span<std::byte> out) const override {
    PL_ASSERT(masks_.has_value());
    masks_->read(index, out);
  }
  void read_attributes(std::int64_t index, std::span<std::uint8_t> out) const override {
    PL_ASSERT(attributes_.has_value());
    attributes_->read(index, std::as_writable_bytes(out));
  }
  void read_text(std::int64_t index, std::span<float> out) const override {
    PL_ASSERT(texts_.has_value());
    texts_->read(index, out);
  }
  std::optional<std::uint32_t> stored_crc(std::int64_t index) const override {
    PL_ASSERT(index >= 0 && index < info_.count);
    if (crcs_.empty()) return std::nullopt;
    return crcs_[static_cast<std::size_t>(index)];
  }

 private:
  std::string file_;
  SetInfo info_;
  std::vector<std::int64_t> labels_;
  std::vector<std::uint32_t> crcs_;
  std::optional<ItemReader> starts_, masks_, attributes_;
  std::optional<TextColumns> texts_;
  ItemReader items_;
};

}  // namespace

std::vector<std::int64_t> read_labels(const hdf5::File& file, const hdf5::DataSet& set) {
  check_inside(file, set);
  return set.read_integers();
}

std::unique_ptr<ShardSource> open_file(const std::string& path, const Selection& selection) {
  const hdf5::File file = hdf5::File::open(path);
  const bool ours = selection.pixels.empty() && file.text("/", "format") == "pathline-images";
  Recognised found = ours ? recognise_ours(file) : recognise_foreign(file, selection);
  check_labels(path, found);
  return std::make_unique<FileSource>(file, std::move(found));
}

}  // namespace pathline::data
