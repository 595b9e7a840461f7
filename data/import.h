// SPDX-License-Identifier: Apache-2.0
// From what people have (docs/data.md lists it) to an image store.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "data/image.h"
#include "data/resize.h"
#include "data/shard_source.h"

namespace pathline::data {

/// Pictures to be imported, each perhaps of another size. Read from any number of threads.
class PictureSource {
 public:
  virtual ~PictureSource() = default;
  virtual std::int64_t count() const = 0;
  /// Throws core::Error (kInput) naming the file if this picture cannot be decoded.
  virtual Image picture(std::int64_t index) const = 0;
  /// -1 where the source has no labels.
  virtual std::int64_t label(std::int64_t index) const = 0;
  virtual std::int64_t classes() const = 0;  // 0: no labels
  virtual const std::vector<std::string>& class_names() const = 0;
  /// One line: what was recognised.
  virtual const std::string& description() const = 0;
};

/// Decides by content what `source` is and opens it; `under` keeps only what lies below that folder (class folders and
/// tar). What cannot be recognised is kInput and lists what can be imported. `files` must outlive the result.
std::unique_ptr<PictureSource> open_pictures(core::FileSystem& files, const std::string& source,
                                             const std::string& under);

struct ImportOptions {
  std::int64_t size = 0;  // centre square, resized to this; 0: as they are
  Filter filter = Filter::kBicubic;
  std::int64_t pad = 0;       // then black around, to this; 0: none
  std::int64_t channels = 0;  // 1 grey, 3 RGB, 0: as the first picture
  bool skip_bad = false;      // leave unreadable pictures out instead of failing
  int threads = 1;
};

struct Imported {
  std::int64_t count = 0, height = 0, width = 0, channels = 0;
  std::vector<std::string> skipped;  // one line for every picture left out
  std::string digest;
};

/// Called on the importing thread with how many pictures are done.
using OnProgress = std::function<void(std::int64_t done)>;

/// One picture as it is stored.
Image fitted(Image image, const ImportOptions& options);

/// Writes the store at `path`. Without skip_bad, all pictures are tried, every bad one is logged, then kInput is
/// thrown. Pictures of different shapes are kUsage, naming the option that helps.
Imported import_pictures(const PictureSource& source, const ImportOptions& options, const std::string& path,
                         const OnProgress& progress);

/// Copies any source into a store, several threads at a time; returns the content digest.
std::string store(const ShardSource& source, const std::string& path, int threads, const OnProgress& progress);

}  // namespace pathline::data
