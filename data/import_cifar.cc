// SPDX-License-Identifier: Apache-2.0
// The binary versions of CIFAR-10 (label, then 1024 red, green and blue bytes) and CIFAR-100 (coarse label, fine label,
// pixels). https://www.cs.toronto.edu/~kriz/cifar.html
#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/random.h"
#include "data/byte_stream.h"
#include "data/import_sources.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::size_t kPlane = 32 * 32, kPixels = 3 * kPlane;

/// Bytes of labels before the pixels: 1 or 2; 0 if the bytes are neither kind.
std::size_t label_bytes(std::span<const std::byte> bytes, std::uint64_t file_bytes) {
  const auto fits = [&](std::size_t labels, int first_limit, int second_limit) {
    const std::size_t record = labels + kPixels;
    if (file_bytes == 0 || file_bytes % record != 0) return false;
    for (std::size_t at = 0; at + record <= bytes.size(); at += record) {
      if (std::to_integer<int>(bytes[at]) >= first_limit) return false;
      if (labels == 2 && std::to_integer<int>(bytes[at + 1]) >= second_limit) return false;
    }
    return true;
  };
  return fits(1, 10, 0) ? 1 : fits(2, 20, 100) ? 2 : 0;
}

void append_interleaved(std::span<const std::byte> planes, std::vector<std::byte>& out) {
  for (std::size_t i = 0; i < kPlane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) out.push_back(planes[c * kPlane + i]);
  }
}

/// The names that the published archives bring along, one a line.
std::vector<std::string> names_beside(core::FileSystem& files, const std::string& path, std::int64_t classes) {
  const std::string file = classes == 10 ? "batches.meta.txt" : "fine_label_names.txt";
  const std::string place = core::join_path(core::parent_of(path), file);
  std::vector<std::string> names;
  if (files.exists(place)) {
    std::istringstream lines(core::read_text(files, place));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) names.push_back(line);
    }
  }
  if (static_cast<std::int64_t>(names.size()) == classes) return names;
  if (classes == 10) {
    return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  }
  return {};
}

}  // namespace

bool is_cifar(std::span<const std::byte> first, std::uint64_t file_bytes) { return label_bytes(first, file_bytes) > 0; }

std::vector<std::string> cifar_files(core::FileSystem& files, const std::string& folder) {
  std::vector<std::string> found;
  for (const std::string& name : files.list(folder)) {
    const bool batch = name.starts_with("data_batch_") && name.ends_with(".bin");
    if (batch || name == "train.bin") found.push_back(core::join_path(folder, name));
  }
  return found;
}

std::unique_ptr<PictureSource> open_cifar(core::FileSystem& files, const std::vector<std::string>& paths) {
  SetInfo info;
  info.height = info.width = 32;
  info.channels = 3;
  std::vector<std::byte> values;
  std::vector<std::int64_t> labels;
  std::uint64_t stamp = 0;
  for (const std::string& path : paths) {
    stamp = core::hash_name(core::concat(stamp, " ", file_stamp(files, path)));
    const auto bytes = read_all(*open_bytes(files, path));
    const std::size_t kind = label_bytes(bytes, bytes.size());
    const std::int64_t classes = kind == 1 ? 10 : 100;
    PL_CHECK(kind > 0 && (info.classes == 0 || info.classes == classes), ExitCode::kInput, path,
             " does not consist of CIFAR records like the others. Fetch or copy it again.");
    info.classes = classes;
    for (std::size_t at = 0; at < bytes.size(); at += kind + kPixels) {
      labels.push_back(std::to_integer<std::int64_t>(bytes[at + kind - 1]));
      append_interleaved(std::span(bytes).subspan(at + kind, kPixels), values);
    }
  }
  info.count = static_cast<std::int64_t>(labels.size());
  info.class_names = names_beside(files, paths.front(), info.classes);
  info.description = core::concat("CIFAR-", info.classes, " binary version, ", paths.size(),
                                  paths.size() == 1 ? " file, " : " files, ", info.count, " pictures");
  return pictures_of(source_in_memory(std::move(info), std::move(values), std::move(labels)), stamp);
}

}  // namespace pathline::data
