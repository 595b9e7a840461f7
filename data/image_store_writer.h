// SPDX-License-Identifier: Apache-2.0
// Writes an image store (docs/formats/image-store.md): one HDF5 file that appears under its name when it is complete.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/shard_source.h"

namespace pathline::data {

/// What becomes of a file that is there already when another gets its name.
enum class Existing { kReplace, kKeep };
/// Writes an item's bytes of a further data set, in any order.
using PutRow = std::function<void(std::int64_t index, std::span<const std::byte> row)>;

class ImageStoreWriter {
 public:
  /// Starts `path` under a temporary name beside it. Used of `info`: kind, count, height, width, channels, classes
  /// (0: the set has no labels), class_names (may be empty), and of latents their form. Throws ExitCode::kEnvironment
  /// where there is no room. What killed writers of the same file left behind is removed. `chunking`: of the items, and
  /// of columns made by open_like().
  ImageStoreWriter(std::string path, SetInfo info, const std::string& created_by = "pathline",
                   const hdf5::Chunking& chunking = {});
  /// Removes the temporary file if finish() was not called.
  ~ImageStoreWriter();
  ImageStoreWriter(const ImageStoreWriter&) = delete;
  ImageStoreWriter& operator=(const ImageStoreWriter&) = delete;

  /// Item `index`, once: info.item_bytes() bytes as ShardSource::read gives them. Several threads may put different
  /// items at once. `label` lies in [0, classes); it is not looked at in a set without labels.
  void put(std::int64_t index, std::span<const std::byte> item, std::int64_t label);
  /// put() at the place after the last append(); from one thread.
  void append(std::span<const std::byte> item, std::int64_t label);
  std::int64_t appended() const;

  /// There are fewer items than announced (unreadable ones were left out): only [0, count) are kept, all of which have
  /// been put. Copies the file once. Before any column or attribute; not of chunks.
  void shorten(std::int64_t count);

  /// A further data set /NAME of one number an item.
  void add_column(const std::string& name, std::span<const std::uint8_t> values);
  void add_column(const std::string& name, std::span<const std::int32_t> values);
  void add_column(const std::string& name, std::span<const std::int64_t> values);
  void add_column(const std::string& name, std::span<const std::uint64_t> values);
  void add_column(const std::string& name, std::span<const float> values);
  /// A further data set /NAME float32 (N, ITEM_SHAPE...): values_of(index) gives an item's numbers, one item at a time.
  void add_floats(const std::string& name, const std::vector<std::int64_t>& item_shape,
                  const std::function<std::vector<float>(std::int64_t index)>& values_of);
  /// The same, written item by item, in any order: by what is returned, while this writer lives. From one thread.
  PutRow open_floats(const std::string& name, const std::vector<std::int64_t>& item_shape);
  /// A further data set /NAME uint8 (N, ITEM_SHAPE...): bytes_of(index) gives an item's.
  void add_bytes(const std::string& name, const std::vector<std::int64_t>& item_shape,
                 const std::function<std::vector<std::byte>(std::int64_t index)>& bytes_of);
  /// /attributes uint8 (N, names.size()) and what they are called: attributes_of(index) gives an item's, 0 or 1 each.
  void add_attributes(const std::vector<std::string>& names,
                      const std::function<std::vector<std::uint8_t>(std::int64_t index)>& attributes_of);
  /// A further data set with the name, type, attributes and item shape of `model`, which lies in `from`: an item's
  /// bytes as stored are written by what is returned, in any order, from any thread, while this writer lives.
  PutRow open_like(const hdf5::File& from, const hdf5::DataSet& model);
  /// A further data set just like `model`, and what it holds.
  void copy_whole(const hdf5::File& from, const hdf5::DataSet& model);
  /// Root attributes of `from` that this store does not have.
  void copy_attributes(const hdf5::File& from);
  /// A further data set /NAME float64 (values).
  void add_array(const std::string& name, std::span<const double> values);
  /// A further data set /NAME float32 of any shape: `values` in its order.
  void add_block(const std::string& name, const std::vector<std::int64_t>& shape, std::span<const float> values);
  /// A further root attribute, such as the solver that made the set.
  void add_attribute(const std::string& name, const std::string& value);

  /// Of latents, in place of what the constructor was given, before finish(): one number a channel.
  void normalise(std::vector<double> shift, std::vector<double> scale);

  /// All items have been put. Writes the rest, syncs, and gives the file its name. Returns the content digest. With
  /// kKeep a file that got the name in the meantime stays, this one is removed, and ExitCode::kUsage says so.
  std::string finish(Existing existing = Existing::kReplace);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pathline::data
