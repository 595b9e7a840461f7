// SPDX-License-Identifier: Apache-2.0
// From what people have (docs/data.md lists it) to an image store: open_pictures(), plan_import(), import_pictures().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "data/image.h"
#include "data/resize.h"
#include "data/shard_source.h"

namespace pathline::data {

struct ImportPlan;

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
  /// The picture's path below the source; "" where pictures have no names.
  virtual std::string name(std::int64_t) const { return ""; }
  /// Another number where what the picture comes from changed: the size or time of its file or archive.
  virtual std::uint64_t stamp(std::int64_t index) const = 0;
  /// Properties that a picture has (1) or has not (0); empty where the source has none.
  virtual const std::vector<std::string>& attribute_names() const;
  virtual std::vector<std::uint8_t> attributes(std::int64_t) const { return {}; }
};

enum class SourceFormat { kByContent, kFolder, kTar, kZip, kIdx, kCifar, kNpz, kHdf5 };
/// By the names of --format; kByContent is "auto".
const std::map<std::string, SourceFormat>& source_formats();

/// Opens `source`, whose content decides what it is unless `format` does. `under` keeps only what lies below that
/// folder (folders, tar, zip). What cannot be recognised is kInput and lists what can be imported. `files` must outlive
/// the result.
std::unique_ptr<PictureSource> open_pictures(core::FileSystem& files, const std::string& source,
                                             const std::string& under, SourceFormat format = SourceFormat::kByContent);

struct ImportOptions {
  std::int64_t size = 0;  // centre square, resized to this; 0: as they are
  Filter filter = Filter::kBicubic;
  std::int64_t pad = 0;       // then black around, to this; 0: none
  std::int64_t channels = 0;  // 1 grey, 3 RGB, 0: as the first picture
  bool skip_bad = false;      // leave unreadable pictures out instead of failing
  int threads = 1;
};

/// Called on the importing thread with how many pictures are done.
using OnProgress = std::function<void(std::int64_t done)>;

/// One picture as it is stored.
Image fitted(Image image, const ImportOptions& options);

/// fitted(), or why there is none.
struct Attempt {
  Image image;
  std::string problem;
};
Attempt attempt(const PictureSource& source, std::int64_t index, const ImportOptions& options);

struct Imported {
  std::int64_t count = 0;
  std::int64_t left_out = 0;          // unreadable pictures, those of files that were there already included
  std::vector<std::string> problems;  // one line for every picture left out now
  std::string digest;
};

/// Writes the files of `plan` that are missing, then its index. Without skip_bad, all pictures are tried, every bad one
/// is logged, then kInput is thrown. Pictures of different shapes are kUsage, naming the option that helps; so is a
/// file that another process finished first.
Imported import_pictures(const PictureSource& source, const ImportOptions& options, const ImportPlan& plan,
                         const OnProgress& progress);

/// Copies any source into a store, several threads at a time; returns the content digest.
std::string store(const ShardSource& source, const std::string& path, int threads, const OnProgress& progress);

}  // namespace pathline::data
