// SPDX-License-Identifier: Apache-2.0
// Which importer a source needs: its content decides.
#include <algorithm>

#include "core/error.h"
#include "data/byte_stream.h"
#include "data/import_sources.h"
#include "data/npz.h"
#include "data/zip.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr const char* kKinds =
    "a folder of class folders with PNG or JPEG files, or with dataset.json; a zip, tar or tar.gz of one; tar of "
    "WebDataset pairs; IDX images (MNIST family, .gz too); CIFAR-10 or CIFAR-100 binary files or their folder; .npz; "
    "HDF5";

/// "FILE:SELECTION" where FILE exists and the whole does not.
std::pair<std::string, std::string> split_selection(core::FileSystem& files, const std::string& source) {
  const auto colon = source.rfind(':');
  if (colon == std::string::npos || files.exists(source) || !files.exists(source.substr(0, colon))) return {source, ""};
  return {source.substr(0, colon), source.substr(colon + 1)};
}

std::vector<std::byte> start_of(core::FileSystem& files, const std::string& path, std::uint64_t bytes) {
  std::vector<std::byte> start(static_cast<std::size_t>(std::min(files.size(path), bytes)));
  files.read(path, 0, start);
  return start;
}

SourceFormat format_of(core::FileSystem& files, const std::string& path) {
  if (files.is_directory(path)) return cifar_files(files, path).empty() ? SourceFormat::kFolder : SourceFormat::kCifar;
  if (path.ends_with(".json") || is_hdf5(files, path)) return SourceFormat::kHdf5;  // or the index of a store in parts
  const auto raw = start_of(files, path, 8);
  if (is_zip(raw) && is_zip_of_pictures(files, path)) return SourceFormat::kZip;
  if (is_zip(raw) && !NpzReader(files, path).names().empty()) return SourceFormat::kNpz;
  std::vector<std::byte> start(std::size_t{1} << 16);  // unpacked
  start.resize(open_bytes(files, path)->read(start));
  if (is_tar(start)) return SourceFormat::kTar;
  if (is_idx(start)) return SourceFormat::kIdx;
  if (is_cifar(start, files.size(path))) return SourceFormat::kCifar;
  throw core::Error(ExitCode::kInput,
                    core::concat("It is not recognised what ", path, " is. What can be imported: ", kKinds, "."));
}

std::unique_ptr<PictureSource> open_cifar_at(core::FileSystem& files, const std::string& path) {
  const auto found = files.is_directory(path) ? cifar_files(files, path) : std::vector{path};
  PL_CHECK(!found.empty(), ExitCode::kInput, path, " has neither data_batch_*.bin nor train.bin. Check the path.");
  return open_cifar(files, found);
}

}  // namespace

const std::map<std::string, SourceFormat>& source_formats() {
  static const std::map<std::string, SourceFormat> kFormats = {
      {"auto", SourceFormat::kByContent}, {"folder", SourceFormat::kFolder}, {"tar", SourceFormat::kTar},
      {"zip", SourceFormat::kZip},        {"idx", SourceFormat::kIdx},       {"cifar", SourceFormat::kCifar},
      {"npz", SourceFormat::kNpz},        {"hdf5", SourceFormat::kHdf5}};
  return kFormats;
}

std::unique_ptr<PictureSource> open_pictures(core::FileSystem& files, const std::string& source,
                                             const std::string& under, SourceFormat format) {
  const auto [path, selection] = split_selection(files, source);
  PL_CHECK(files.exists(path), ExitCode::kInput, path, " does not exist. Check the path.");
  if (format == SourceFormat::kByContent) format = format_of(files, path);
  PL_CHECK(files.is_directory(path) || format != SourceFormat::kFolder, ExitCode::kInput, path,
           " is no folder. Check the path, or leave --format out.");
  PL_CHECK(!files.is_directory(path) || format == SourceFormat::kFolder || format == SourceFormat::kCifar,
           ExitCode::kInput, path, " is a folder. Name a file in it, or leave --format out.");
  switch (format) {
    case SourceFormat::kFolder:
      return open_folder(files, path, under);
    case SourceFormat::kTar:
      return open_tar(files, path, under);
    case SourceFormat::kZip:
      return open_zip(files, path, under);
    case SourceFormat::kIdx:
      return open_idx(files, path);
    case SourceFormat::kCifar:
      return open_cifar_at(files, path);
    case SourceFormat::kNpz:
      return open_npz(files, path, selection);
    case SourceFormat::kHdf5:
      return open_hdf5(files, source, under);
    case SourceFormat::kByContent:
      break;
  }
  PL_ASSERT(false);
}

}  // namespace pathline::data
