// SPDX-License-Identifier: Apache-2.0
#include "data/store_columns.h"

#include <algorithm>
#include <array>

#include "core/crc32c.h"
#include "core/error.h"
#include "data/decoded_chunks.h"
#include "data/image_store_writer.h"
#include "data/parallel.h"
#include "data/recognised.h"

namespace pathline::data {

namespace {

using core::ExitCode;

constexpr std::size_t kMostColumns = 1000;
constexpr std::int64_t kBlock = 4096;                          // items between two reports
constexpr std::size_t kDecodedBytes = std::size_t{256} << 20;  // of chunks that are read again and again
constexpr std::array kItems = {"/images", "/points", "/latents", "/labels", "/crc32c"};  // written by the writer
constexpr std::array kWholes = {"/null_text", "/null_pooled", "/null_tokens", "/trajectory_times"};
constexpr std::array kOwnAttributes = {"format", "version", "layout", "value_range", "content_digest", "created_by"};
constexpr std::array kLabelAttributes = {"classes", "class_names"};

template <class Names>
bool among(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

std::vector<std::int64_t> item_shape(const hdf5::DataSet& set) { return {set.shape().begin() + 1, set.shape().end()}; }

std::vector<std::byte> all_bytes(const hdf5::DataSet& set) {
  std::vector<std::byte> bytes(set.elements() * set.element_bytes());
  set.read_stored(0, set.shape()[0], bytes);
  return bytes;
}

/// What an attribute holds, of any kind that can be copied.
std::string attribute_of(const hdf5::File& file, const std::string& object, const std::string& name) {
  std::string all = file.attribute_bytes(object, name).value_or("");
  for (const std::string& text : file.texts(object, name)) all += text + '\0';
  return all;
}

/// The name of the array of items.
std::string items_of(const hdf5::File& file) {
  return file.has("/images") ? "/images" : file.has("/latents") ? "/latents" : "/points";
}

}  // namespace

WholeStore::WholeStore(const std::vector<std::string>& paths) : source_(open_source(paths)) {
  for (const std::string& path : data_files(paths)) {
    hdf5::File file = hdf5::File::open(selected(path).first);
    PL_CHECK(file.text("/", "format") == "pathline-images" && file.path() == path, ExitCode::kInput, path,
             " is no image store (what its other arrays mean is not known). Make a store of it first with `pathline "
             "data import ",
             path, " -o OUT.h5`.");
    starts_.push_back(starts_.back() + file.data_set(items_of(file)).shape()[0]);
    files_.push_back(std::move(file));
  }
  PL_ASSERT(starts_.back() == source_->info().count);
  source_->decode_into(std::make_shared<DecodedChunks>(kDecodedBytes));
  check_attributes();
  learn_columns();
}

void WholeStore::learn_columns() {
  const std::vector<std::string> names = first().data_set_names(kMostColumns);
  for (const hdf5::File& file : files_) {
    PL_CHECK(file.data_set_names(kMostColumns) == names, ExitCode::kInput, file.path(), " and ", first().path(),
             " are parts of one set, but do not hold the same data sets. Make them alike first.");
  }
  for (const std::string& name : names) {
    if (among(kItems, name)) continue;
    if (among(kWholes, name)) {
      check_whole(name);
      wholes_.push_back(name);
    } else {
      learn_column(name);
    }
  }
}

void WholeStore::learn_column(const std::string& name) {
  Column column{name, {}};
  for (std::size_t part = 0; part < files_.size(); ++part) {
    hdf5::DataSet set = files_[part].data_set(name);
    const std::int64_t count = starts_[part + 1] - starts_[part];
    PL_CHECK(set.is_plain() && !set.shape().empty() && set.shape()[0] == count && set.elements() > 0, ExitCode::kInput,
             "cannot take ", set.describe(), " of ", files_[part].path(), " along (it is not one row of numbers or ",
             "texts for each of ", count, " items, nor known otherwise). Delete it from the file first.");
    if (part > 0) {
      const hdf5::DataSet& model = column.parts[0].set();
      PL_CHECK(set.same_type(model) && item_shape(set) == item_shape(model), ExitCode::kInput, set.describe(), " of ",
               files_[part].path(), " differs from ", model.describe(), " of ", first().path(),
               ". Make the parts alike first.");
    }
    column.parts.emplace_back(files_[part], std::move(set));
  }
  columns_.push_back(std::move(column));
}

void WholeStore::check_whole(const std::string& name) const {
  const hdf5::DataSet model = first().data_set(name);
  PL_CHECK(model.is_plain() && !model.shape().empty(), ExitCode::kInput, "cannot take ", model.describe(), " of ",
           first().path(), " along (numbers belong there). Delete it from the file first.");
  check_inside(first(), model);
  for (const hdf5::File& file : files_) {
    const hdf5::DataSet set = file.data_set(name);
    PL_CHECK(set.same_type(model) && set.shape() == model.shape() && all_bytes(set) == all_bytes(model),
             ExitCode::kInput, set.describe(), " of ", file.path(), " differs from that of ", first().path(),
             " (a set has one). Make the parts alike first.");
  }
}

void WholeStore::check_attributes() const {
  const std::vector<std::string> names = first().attribute_names("/");
  for (const hdf5::File& file : files_) {
    PL_CHECK(file.attribute_names("/") == names, ExitCode::kInput, file.path(), " and ", first().path(),
             " are parts of one set, but do not have the same attributes. Make them alike first.");
    for (const std::string& name : names) {
      PL_CHECK(among(kOwnAttributes, name) || attribute_of(file, "/", name) == attribute_of(first(), "/", name),
               ExitCode::kInput, "attribute ", name, " of ", file.path(), " differs from that of ", first().path(),
               " (a set has one). Make the parts alike first.");
    }
    if (!file.has("/labels")) continue;
    for (const std::string& name : file.attribute_names("/labels")) {
      PL_CHECK(among(kLabelAttributes, name), ExitCode::kInput, "cannot take attribute ", name, " of /labels in ",
               file.path(), " along (its meaning is not known). Delete it from the file first.");
    }
  }
}

std::pair<std::size_t, std::int64_t> WholeStore::find(std::int64_t item) const {
  const auto after = std::ranges::upper_bound(starts_, item);
  const auto part = static_cast<std::size_t>(after - starts_.begin()) - 1;
  return {part, item - starts_[part]};
}

std::string WholeStore::write(std::span<const std::int64_t> items, const std::string& path,
                              const hdf5::Chunking& chunking, int threads,
                              const std::function<void(std::int64_t done)>& progress) const {
  SetInfo info = source_->info();
  info.count = static_cast<std::int64_t>(items.size());
  ImageStoreWriter writer(path, info, "pathline", chunking);
  writer.copy_attributes(first());
  for (const std::string& name : wholes_) writer.copy_whole(first(), first().data_set(name));
  std::vector<PutRow> puts;
  for (const Column& column : columns_) puts.push_back(writer.open_like(first(), column.parts[0].set()));
  const auto write_one = [&](std::int64_t i) {
    const std::int64_t from = items[static_cast<std::size_t>(i)];
    std::vector<std::byte> item(info.item_bytes());
    source_->read(from, item);
    const auto crc = source_->stored_crc(from);
    PL_CHECK(!crc || *crc == core::crc32c(item), ExitCode::kInput, source_->name_of(from),
             " is damaged: its bytes differ from the stored checksum. Copy the file again, or import it again.");
    writer.put(i, item, source_->label(from));
    const auto [part, row] = find(from);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      item.resize(columns_[c].parts[part].row_bytes());
      columns_[c].parts[part].read(row, item);
      puts[c](i, item);
    }
  };
  for (std::int64_t begin = 0; begin < info.count; begin += kBlock) {
    const std::int64_t end = std::min(info.count, begin + kBlock);
    parallel_for(begin, end, threads, write_one);
    progress(end);
  }
  return writer.finish();
}

}  // namespace pathline::data
