// SPDX-License-Identifier: Apache-2.0
// The kinds of sources that open_pictures() chooses from; inside data/ only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "data/import.h"
#include "data/zip.h"

namespace pathline::data {

/// Another number where the file's size or time of change is another.
std::uint64_t file_stamp(core::FileSystem& files, const std::string& path);

/// The pictures of a set whose items have one shape already; `stamp` is that of the file they come from.
std::unique_ptr<PictureSource> pictures_of(std::unique_ptr<ShardSource> source, std::uint64_t stamp);

/// PNG and JPEG files: each a part of a file on disk, or of `memory` if its path is empty, or a member of `archive`.
struct EncodedPicture {
  std::string name;  // below the source, with '/'
  std::string path;
  std::uint64_t offset = 0, bytes = 0;
  std::int64_t label = -1;
  const ZipMember* member = nullptr;
  std::uint64_t stamp = 0;  // of the file that it lies in
};

struct EncodedSet {
  std::vector<EncodedPicture> pictures;
  std::vector<std::string> class_names;  // empty: labels without names, or none
  std::int64_t classes = 0;
  std::vector<std::byte> memory;
  std::shared_ptr<const ZipReader> archive;
  std::string description;
};

std::unique_ptr<PictureSource> encoded_pictures(core::FileSystem& files, EncodedSet set);

bool has_picture_ending(const std::string& name);

/// Which class a picture belongs to, by its folder. Names below a common parent are CLASS/FILE; a further level of
/// folders whose names are numbers only is passed over. Pictures without folders have no classes (labels are -1).
struct ClassFolders {
  std::vector<std::string> class_names;  // sorted
  std::vector<std::int64_t> labels;      // of every name
};
/// Throws kInput where folders do not decide, naming them and --under. `origin` is for messages.
ClassFolders class_folders(const std::vector<std::string>& names, const std::string& origin);

/// Whether `name` lies in the folder `under` or below; everything lies below "".
bool lies_below(const std::string& name, const std::string& under);

/// Drops what is not below `under`; throws kInput if nothing is left.
void keep_below(EncodedSet& set, const std::string& under, const std::string& origin);

/// The same, then fills labels, classes and description of `set`: as `listing`, the text of
/// dataset.json, says, else from the folders. `kind` begins the description: "folder", "zip".
void assign_labels(EncodedSet& set, const std::string& kind, const std::optional<std::string>& listing,
                   const std::string& under, const std::string& origin);

std::unique_ptr<PictureSource> open_folder(core::FileSystem& files, const std::string& folder,
                                           const std::string& under);

/// Whether an HDF5 file begins here, at its start or behind a user block.
bool is_hdf5(core::FileSystem& files, const std::string& path);
/// `source`: FILE.h5, the index of its parts, or FILE.h5:/PICTURES... as open_source() understands it. `under`: the
/// group of single pictures.
std::unique_ptr<PictureSource> open_hdf5(core::FileSystem& files, const std::string& source, const std::string& under);

bool is_idx(std::span<const std::byte> start);
std::unique_ptr<PictureSource> open_idx(core::FileSystem& files, const std::string& path);

/// Whether a ZIP archive has PNG or JPEG members (an .npz has none).
bool is_zip_of_pictures(core::FileSystem& files, const std::string& path);
std::unique_ptr<PictureSource> open_zip(core::FileSystem& files, const std::string& path, const std::string& under);

bool is_tar(std::span<const std::byte> start);
std::unique_ptr<PictureSource> open_tar(core::FileSystem& files, const std::string& path, const std::string& under);

/// True if the bytes are whole CIFAR records with labels in range; `first` are the first ones of the file.
bool is_cifar(std::span<const std::byte> first, std::uint64_t file_bytes);
std::unique_ptr<PictureSource> open_cifar(core::FileSystem& files, const std::vector<std::string>& paths);
/// data_batch_1.bin ... or train.bin in a folder, sorted; empty if it is no such folder.
std::vector<std::string> cifar_files(core::FileSystem& files, const std::string& folder);

/// arr_0 and arr_1, or `selection` = "PIXELS" or "PIXELS,LABELS".
std::unique_ptr<PictureSource> open_npz(core::FileSystem& files, const std::string& path, const std::string& selection);

}  // namespace pathline::data
