// SPDX-License-Identifier: Apache-2.0
// Which importer a source needs: its content decides.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "data/byte_stream.h"
#include "data/import_sources.h"
#include "data/zip.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr const char* kKinds =
    "a folder of class folders with PNG or JPEG files; a tar or tar.gz of one, or of WebDataset pairs; IDX images "
    "(MNIST "
    "family, .gz too); CIFAR-10 or CIFAR-100 binary files or their folder; .npz; HDF5";

constexpr std::array<std::byte, 8> kHdf5 = {std::byte{0x89}, std::byte{'H'},  std::byte{'D'},  std::byte{'F'},
                                            std::byte{'\r'}, std::byte{'\n'}, std::byte{0x1a}, std::byte{'\n'}};

/// "FILE:SELECTION" where FILE exists and the whole does not.
std::pair<std::string, std::string> split_selection(core::FileSystem& files, const std::string& source) {
  const auto colon = source.rfind(':');
  if (colon == std::string::npos || files.exists(source) || !files.exists(source.substr(0, colon))) return {source, ""};
  return {source.substr(0, colon), source.substr(colon + 1)};
}

std::unique_ptr<PictureSource> open_directory(core::FileSystem& files, const std::string& folder,
                                              const std::string& under) {
  const auto cifar = cifar_files(files, folder);
  return cifar.empty() ? open_folder(files, folder, under) : open_cifar(files, cifar);
}

}  // namespace

std::unique_ptr<PictureSource> open_pictures(core::FileSystem& files, const std::string& source,
                                             const std::string& under) {
  const auto [path, selection] = split_selection(files, source);
  PL_CHECK(files.exists(path), ExitCode::kInput, path, " does not exist. Check the path.");
  if (files.is_directory(path)) return open_directory(files, path, under);
  const std::uint64_t size = files.size(path);
  std::vector<std::byte> raw(static_cast<std::size_t>(std::min<std::uint64_t>(size, kHdf5.size())));
  files.read(path, 0, raw);
  if (std::equal(raw.begin(), raw.end(), kHdf5.begin(), kHdf5.end())) return pictures_of(open_source({source}));
  if (is_zip(raw)) return open_npz(files, path, selection);
  std::vector<std::byte> start(std::size_t{1} << 16);  // unpacked
  start.resize(open_bytes(files, path)->read(start));
  if (is_tar(start)) return open_tar(files, path, under);
  if (is_idx(start)) return open_idx(files, path);
  if (is_cifar(start, size)) return open_cifar(files, {path});
  throw core::Error(ExitCode::kInput,
                    core::concat("It is not recognised what ", path, " is. What can be imported: ", kKinds, "."));
}

}  // namespace pathline::data
