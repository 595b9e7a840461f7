// SPDX-License-Identifier: Apache-2.0
#include "data/image_store_writer.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/file_system.h"
#include "data/content_digest.h"
#include "data/file_descriptor.h"
#include "data/item_reader.h"
#include "data/row_writer.h"
#include "data/temporary_name.h"

namespace pathline::data {

namespace {

using core::ExitCode;

/// Removes what writers left that were killed, then names a new file.
std::string fresh_name(const std::string& path) {
  remove_abandoned(path);
  return temporary_name(path);
}

SetInfo checked(const std::string& path, SetInfo info) {
  PL_CHECK(info.count > 0 && info.height > 0 && info.width > 0 && info.channels > 0, ExitCode::kInput, "cannot write ",
           path, " with ", info.count, " items of ", info.height, "x", info.width, "x", info.channels,
           " (an image store holds at least one). Look at what was imported.");
  if (info.kind == ItemKind::kLatent) {
    info.latents.shift.resize(static_cast<std::size_t>(info.channels), 0);
    info.latents.scale.resize(static_cast<std::size_t>(info.channels), 1);
  }
  PL_ASSERT(info.class_names.empty() || static_cast<std::int64_t>(info.class_names.size()) == info.classes);
  return info;
}

/// How a store calls its items, and says what they are.
struct Kind {
  const char *name, *layout, *value_range;
};

Kind kind_of(ItemKind kind) {
  switch (kind) {
    case ItemKind::kImage:
      return {"/images", "NHWC", "0..255"};
    case ItemKind::kLatent:
      return {"/latents", "NCHW", "(latent - shift) * scale"};
    case ItemKind::kPoint:
      break;
  }
  return {"/points", "ND", "as stored"};
}

/// Chunks are not larger than the array, nor than HDF5 allows.
hdf5::Chunking fitting(hdf5::Chunking chunking, const SetInfo& info) {
  chunking.rows = std::min(chunking.rows, info.count);
  const std::uint64_t most = std::uint64_t{0xffffffff} / info.item_bytes();
  PL_CHECK(static_cast<std::uint64_t>(chunking.rows) <= most, ExitCode::kUsage, "a chunk of ", chunking.rows,
           " items of ", info.item_bytes(), " bytes is larger than HDF5 allows (4 GiB). Take at most ", most, ".");
  return chunking;
}

std::vector<std::int64_t> shape_of(const SetInfo& info) {
  if (info.kind == ItemKind::kPoint) return {info.count, info.channels};
  if (info.kind == ItemKind::kImage) return {info.count, info.height, info.width, info.channels};
  const auto& [flips, moments, shift, scale] = info.latents;
  if (flips == 1 && moments == 1) return {info.count, info.channels, info.height, info.width};
  return {info.count, flips, moments, info.channels, info.height, info.width};
}

}  // namespace

struct ImageStoreWriter::Impl {
  Impl(std::string path, SetInfo info, const std::string& created_by, const hdf5::Chunking& chunking);
  ~Impl();
  void put(std::int64_t index, std::span<const std::byte> item, std::int64_t label);
  void copy_from(const Impl& other);
  void add(const std::string& name, hdf5::Element element, std::span<const std::byte> bytes, std::size_t count);
  PutRow open_items(const std::string& name, hdf5::Element element, std::vector<std::int64_t> item_shape);
  PutRow put_into(hdf5::DataSet set, const hdf5::Chunking& how);
  std::string finish(Existing existing);

  std::string path, temporary, created_by;
  SetInfo info;
  hdf5::Chunking chunking;
  hdf5::File file;
  std::optional<FileDescriptor> direct;
  std::vector<std::unique_ptr<RowWriter>> rows;  // the items', then those of columns
  std::vector<std::int64_t> labels;              // (count)
  std::vector<std::uint32_t> crcs;               // (count)
  std::vector<std::uint8_t> there;               // (count) 1 where an item was put
  std::int64_t next = 0;
};

// The library fixes where the items will lie and writes the small things; the items themselves go past it.
ImageStoreWriter::Impl::Impl(std::string path_, SetInfo info_, const std::string& created_by,
                             const hdf5::Chunking& chunking_)
    : path(std::move(path_)),
      temporary(fresh_name(path)),
      created_by(created_by),
      info(checked(path, std::move(info_))),
      chunking(fitting(chunking_, info)),
      file(hdf5::File::create(temporary, chunking)),
      labels(static_cast<std::size_t>(info.count)),
      crcs(static_cast<std::size_t>(info.count)),
      there(static_cast<std::size_t>(info.count)) {
  try {
    const Kind kind = kind_of(info.kind);
    hdf5::DataSet items = file.create_data_set(kind.name, element_of(info.kind), shape_of(info), chunking);
    file.set_text("/", "format", "pathline-images");
    file.set_integer("/", "version", 1);
    file.set_text("/", "layout", kind.layout);
    file.set_text("/", "value_range", kind.value_range);
    file.set_text("/", "created_by", created_by);
    direct.emplace(temporary, FileDescriptor::Access::kWrite);
    if (items.offset()) direct->reserve(*items.offset(), static_cast<std::uint64_t>(info.count) * info.item_bytes());
    rows.push_back(std::make_unique<RowWriter>(std::move(items), chunking, *direct));
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

ImageStoreWriter::Impl::~Impl() {
  if (!temporary.empty()) ::unlink(temporary.c_str());
}

void ImageStoreWriter::Impl::put(std::int64_t index, std::span<const std::byte> item, std::int64_t label) {
  PL_ASSERT(index >= 0 && index < info.count && item.size() == info.item_bytes());
  PL_CHECK(info.classes == 0 || (label >= 0 && label < info.classes), ExitCode::kInput, "labels out of range for ",
           path, ": sample ", index, " has label ", label, ", and there are ", info.classes,
           " classes. Correct the labels.");
  const std::size_t at = static_cast<std::size_t>(index);
  PL_ASSERT(there[at] == 0);
  rows[0]->put(index, item);
  labels[at] = info.classes > 0 ? label : -1;
  crcs[at] = core::crc32c(item);
  there[at] = 1;
}

void ImageStoreWriter::Impl::copy_from(const Impl& other) {
  std::vector<std::byte> item(info.item_bytes());
  for (std::int64_t i = 0; i < info.count; ++i) {
    const std::size_t at = static_cast<std::size_t>(i);
    PL_ASSERT(other.there[at] == 1);
    other.direct->read(*other.rows[0]->offset() + at * item.size(), item);
    put(i, item, other.labels[at]);
  }
}

void ImageStoreWriter::Impl::add(const std::string& name, hdf5::Element element, std::span<const std::byte> bytes,
                                 std::size_t count) {
  PL_ASSERT(count == static_cast<std::size_t>(info.count));
  file.create_data_set("/" + name, element, {info.count}).write(bytes);
}

std::string ImageStoreWriter::Impl::finish(Existing existing) {
  PL_ASSERT(std::ranges::count(there, 1) == info.count);
  PL_ASSERT(std::ranges::all_of(rows, [](const auto& writer) { return writer->complete(); }));
  ContentDigest digest(info);
  for (std::size_t i = 0; i < crcs.size(); ++i) digest.add(crcs[i], labels[i]);
  if (info.classes > 0) {
    add("labels", hdf5::Element::kInt64, std::as_bytes(std::span(labels)), labels.size());
    file.set_integer("/labels", "classes", info.classes);
    if (!info.class_names.empty()) file.set_texts("/labels", "class_names", info.class_names);
  }
  if (info.kind == ItemKind::kLatent) {
    file.set_numbers("/latents", "shift", info.latents.shift);
    file.set_numbers("/latents", "scale", info.latents.scale);
  }
  add("crc32c", hdf5::Element::kUint32, std::as_bytes(std::span(crcs)), crcs.size());
  file.set_text("/", "content_digest", digest.text());
  rows.clear();  // a file is closed with its last array
  file.close();
  direct->sync();
  core::PosixFileSystem files;
  if (existing == Existing::kReplace) {
    files.rename(temporary, path);
  } else {
    PL_CHECK(files.rename_new(temporary, path), ExitCode::kUsage, path,
             " appeared while this was written (by another process, and it is complete). It stays as it is, and what "
             "was written here is dropped. Choose another name, or start again to see whether it is the same.");
  }
  temporary.clear();
  files.sync_directory(core::parent_of(path));
  return digest.text();
}

ImageStoreWriter::ImageStoreWriter(std::string path, SetInfo info, const std::string& created_by,
                                   const hdf5::Chunking& chunking)
    : impl_(std::make_unique<Impl>(std::move(path), std::move(info), created_by, chunking)) {}

ImageStoreWriter::~ImageStoreWriter() = default;

void ImageStoreWriter::put(std::int64_t index, std::span<const std::byte> item, std::int64_t label) {
  impl_->put(index, item, label);
}

void ImageStoreWriter::append(std::span<const std::byte> item, std::int64_t label) {
  impl_->put(impl_->next, item, label);
  ++impl_->next;
}

std::int64_t ImageStoreWriter::appended() const { return impl_->next; }

void ImageStoreWriter::shorten(std::int64_t count) {
  if (count == impl_->info.count) return;
  PL_ASSERT(count <= impl_->info.count && impl_->chunking.rows == 0);
  SetInfo info = impl_->info;
  info.count = count;
  auto shorter = std::make_unique<Impl>(impl_->path, std::move(info), impl_->created_by, impl_->chunking);
  shorter->copy_from(*impl_);
  impl_ = std::move(shorter);
}

void ImageStoreWriter::add_column(const std::string& name, std::span<const std::uint8_t> values) {
  impl_->add(name, hdf5::Element::kUint8, std::as_bytes(values), values.size());
}
void ImageStoreWriter::add_column(const std::string& name, std::span<const std::int32_t> values) {
  impl_->add(name, hdf5::Element::kInt32, std::as_bytes(values), values.size());
}
void ImageStoreWriter::add_column(const std::string& name, std::span<const std::int64_t> values) {
  impl_->add(name, hdf5::Element::kInt64, std::as_bytes(values), values.size());
}
void ImageStoreWriter::add_column(const std::string& name, std::span<const std::uint64_t> values) {
  impl_->add(name, hdf5::Element::kUint64, std::as_bytes(values), values.size());
}
void ImageStoreWriter::add_column(const std::string& name, std::span<const float> values) {
  impl_->add(name, hdf5::Element::kFloat32, std::as_bytes(values), values.size());
}
PutRow ImageStoreWriter::Impl::open_items(const std::string& name, hdf5::Element element,
                                          std::vector<std::int64_t> shape) {
  shape.insert(shape.begin(), info.count);
  return put_into(file.create_data_set("/" + name, element, shape), {});
}
PutRow ImageStoreWriter::Impl::put_into(hdf5::DataSet set, const hdf5::Chunking& how) {
  rows.push_back(std::make_unique<RowWriter>(std::move(set), how, *direct));
  return [writer = rows.back().get()](std::int64_t index, std::span<const std::byte> row) { writer->put(index, row); };
}
PutRow ImageStoreWriter::open_like(const hdf5::File& from, const hdf5::DataSet& model) {
  std::vector<std::int64_t> shape = model.shape();
  shape[0] = impl_->info.count;
  // One number an item would make many small chunks.
  const hdf5::Chunking how = shape.size() > 1 ? impl_->chunking : hdf5::Chunking{};
  return impl_->put_into(impl_->file.create_like(from, model, shape, how), how);
}
void ImageStoreWriter::copy_whole(const hdf5::File& from, const hdf5::DataSet& model) {
  std::vector<std::byte> bytes(model.elements() * model.element_bytes());
  model.read_stored(0, model.shape()[0], bytes);
  impl_->file.create_like(from, model, model.shape()).write(bytes);
}
void ImageStoreWriter::copy_attributes(const hdf5::File& from) {
  impl_->file.copy_attributes(from, "/", "content_digest");
}
PutRow ImageStoreWriter::open_floats(const std::string& name, const std::vector<std::int64_t>& item_shape) {
  return impl_->open_items(name, hdf5::Element::kFloat32, item_shape);
}
void ImageStoreWriter::add_floats(const std::string& name, const std::vector<std::int64_t>& item_shape,
                                  const std::function<std::vector<float>(std::int64_t index)>& values_of) {
  const auto write = open_floats(name, item_shape);
  for (std::int64_t i = 0; i < impl_->info.count; ++i) {
    const std::vector<float> values = values_of(i);
    write(i, std::as_bytes(std::span(values)));
  }
}
void ImageStoreWriter::add_bytes(const std::string& name, const std::vector<std::int64_t>& item_shape,
                                 const std::function<std::vector<std::byte>(std::int64_t index)>& bytes_of) {
  const auto write = impl_->open_items(name, hdf5::Element::kUint8, item_shape);
  for (std::int64_t i = 0; i < impl_->info.count; ++i) write(i, bytes_of(i));
}
void ImageStoreWriter::add_attributes(
    const std::vector<std::string>& names,
    const std::function<std::vector<std::uint8_t>(std::int64_t index)>& attributes_of) {
  add_bytes("attributes", {static_cast<std::int64_t>(names.size())}, [&](std::int64_t index) {
    const std::vector<std::uint8_t> values = attributes_of(index);
    const auto bytes = std::as_bytes(std::span(values));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  });
  impl_->file.set_texts("/attributes", "attribute_names", names);
}
void ImageStoreWriter::add_array(const std::string& name, std::span<const double> values) {
  impl_->file.create_data_set("/" + name, hdf5::Element::kFloat64, {static_cast<std::int64_t>(values.size())})
      .write(std::as_bytes(values));
}
void ImageStoreWriter::add_block(const std::string& name, const std::vector<std::int64_t>& shape,
                                 std::span<const float> values) {
  impl_->file.create_data_set("/" + name, hdf5::Element::kFloat32, shape).write(std::as_bytes(values));
}
void ImageStoreWriter::add_attribute(const std::string& name, const std::string& value) {
  impl_->file.set_text("/", name, value);
}

void ImageStoreWriter::normalise(std::vector<double> shift, std::vector<double> scale) {
  const auto channels = static_cast<std::size_t>(impl_->info.channels);
  PL_ASSERT(impl_->info.kind == ItemKind::kLatent && shift.size() == channels && scale.size() == channels);
  impl_->info.latents.shift = std::move(shift);
  impl_->info.latents.scale = std::move(scale);
}

std::string ImageStoreWriter::finish(Existing existing) { return impl_->finish(existing); }

}  // namespace pathline::data
