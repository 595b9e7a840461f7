// SPDX-License-Identifier: Apache-2.0
// Image stores with everything in them: what has to come along when their items are written again, in another order or
// to another file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/row_reader.h"
#include "data/shard_source.h"

namespace pathline::data {

class WholeStore {
 public:
  /// One store or its parts, as open_source() takes them. Throws ExitCode::kInput for files of others, and naming every
  /// data set or attribute that could not come along: of no known meaning, of a type that lies elsewhere in the file,
  /// or different between parts.
  explicit WholeStore(const std::vector<std::string>& paths);

  const ShardSource& source() const { return *source_; }

  /// Writes the items of these numbers, in this order, with their labels and columns, as the store `path`; returns its
  /// content digest. Items that differ from their checksums are ExitCode::kInput.
  std::string write(std::span<const std::int64_t> items, const std::string& path, const hdf5::Chunking& chunking,
                    int threads, const std::function<void(std::int64_t done)>& progress) const;

 private:
  struct Column {
    std::string name;
    std::vector<RowReader> parts;
  };
  void learn_columns();
  void learn_column(const std::string& name);
  void check_whole(const std::string& name) const;
  void check_attributes() const;
  std::pair<std::size_t, std::int64_t> find(std::int64_t item) const;
  const hdf5::File& first() const { return files_[0]; }

  std::unique_ptr<ShardSource> source_;
  std::vector<hdf5::File> files_;
  std::vector<std::int64_t> starts_ = {0};  // number of each part's first item, and the count
  std::vector<Column> columns_;             // a row an item
  std::vector<std::string> wholes_;         // one for the whole set
};

}  // namespace pathline::data
