// SPDX-License-Identifier: Apache-2.0
// Which files an import writes, known before it starts, and which of them are there already.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/import.h"

namespace pathline::data {

struct Destination {
  std::string path;              // FILE.h5; in parts FILE-00000-of-00004.h5 ... and FILE.json
  std::uint64_t part_bytes = 0;  // no file is larger; 0: one file, however large
  bool overwrite = false;        // whatever is there
};

struct PlannedFile {
  /// kWhole: there already, made from the same pictures in the same way, and undamaged.
  enum class State { kMissing, kReplaced, kWhole };
  std::string path;
  std::int64_t first = 0, last = 0;  // pictures [first, last) of the source
  std::string fingerprint;           // import_fingerprint.h
  State state = State::kMissing;
};

struct ImportPlan {
  SetInfo info;  // of all pictures; the first that can be read decides the shape
  std::vector<PlannedFile> files;
  std::string index;                  // names the parts; "" for a single file
  std::vector<std::string> obsolete;  // another division of the same set, to be removed first
  bool in_parts() const { return !index.empty(); }
  std::int64_t pictures_done() const;  // of the source, in files that are whole
};

/// Throws kUsage if files are in the way that are not what this import would make, unless `to` says that they are
/// replaced. Files that are what it would make are read and checked against their checksums.
ImportPlan plan_import(const PictureSource& source, const ImportOptions& options, const Destination& to);

/// The content of the index: docs/formats/image-store.md, "Parts".
std::string index_text(const ImportPlan& plan);

}  // namespace pathline::data
