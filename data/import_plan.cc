// SPDX-License-Identifier: Apache-2.0
#include "data/import_plan.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <regex>

#include "core/error.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/text.h"
#include "data/hdf5.h"
#include "data/import_fingerprint.h"
#include "data/recognised.h"
#include "data/verify.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using State = PlannedFile::State;

constexpr std::int64_t kMostParts = 99999;
constexpr std::uint64_t kHeaderBytes = 1 << 14;  // of an HDF5 file without texts; it takes about 6 KiB

/// The first picture that can be read decides the shape of all.
Image model_picture(const PictureSource& source, const ImportOptions& options) {
  std::string problem;
  for (std::int64_t i = 0; i < source.count(); ++i) {
    Attempt picture = attempt(source, i, options);
    if (picture.problem.empty()) return std::move(picture.image);
    if (problem.empty()) problem = picture.problem;
  }
  throw core::Error(ExitCode::kInput, core::concat("None of the ", source.count(),
                                                   " pictures can be read. The first problem: ", problem));
}

SetInfo info_of(const PictureSource& source, const Image& model) {
  SetInfo info;
  info.count = source.count();
  info.height = model.height;
  info.width = model.width;
  info.channels = model.channels;
  info.classes = source.classes();
  info.class_names = source.class_names();
  info.attribute_names = source.attribute_names();
  return info;
}

/// Texts are stored in fields of equal length.
std::uint64_t text_bytes(const std::vector<std::string>& texts) {
  const auto longer = [](std::size_t longest, const std::string& text) { return std::max(longest, text.size()); };
  return texts.size() * std::accumulate(texts.begin(), texts.end(), std::size_t{1}, longer);
}

/// How many files of at most `part_bytes` the pictures need.
std::int64_t parts_needed(const SetInfo& info, std::uint64_t part_bytes) {
  const std::uint64_t header = kHeaderBytes + text_bytes(info.class_names) + text_bytes(info.attribute_names);
  const std::uint64_t item = info.item_bytes() + sizeof(std::uint32_t) + info.attribute_names.size() +
                             (info.classes > 0 ? sizeof(std::int64_t) : 0);
  PL_CHECK(part_bytes >= header + item, ExitCode::kUsage, "parts of ", core::human_bytes(part_bytes),
           " are too small (one picture with its header takes ", core::human_bytes(header + item),
           "). Give a larger --part-size.");
  const auto items = static_cast<std::int64_t>((part_bytes - header) / item);
  const std::int64_t parts = (info.count + items - 1) / items;
  PL_CHECK(parts <= kMostParts, ExitCode::kUsage, "parts of ", core::human_bytes(part_bytes), " would be ", parts,
           " files (names have five digits). Give a larger --part-size.");
  return parts;
}

std::string without_ending(const std::string& path) {
  return path.ends_with(".h5") ? path.substr(0, path.size() - 3) : path;
}

std::string part_path(const std::string& stem, std::int64_t part, std::int64_t parts) {
  char numbers[32];
  std::snprintf(numbers, sizeof numbers, "-%05d-of-%05d.h5", static_cast<int>(part), static_cast<int>(parts));
  return stem + numbers;
}

PlannedFile planned(const std::string& path, std::int64_t first, std::int64_t last) {
  PlannedFile file;
  file.path = path;
  file.first = first;
  file.last = last;
  return file;
}

/// Parts differ by at most one picture.
void divide(ImportPlan& plan, const Destination& to) {
  if (to.part_bytes == 0) {
    plan.files = {planned(to.path, 0, plan.info.count)};
    return;
  }
  const std::string stem = without_ending(to.path);
  const std::int64_t parts = parts_needed(plan.info, to.part_bytes), count = plan.info.count;
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t share = count / parts, more = count % parts;
    const std::int64_t first = i * share + std::min(i, more);
    plan.files.push_back(planned(part_path(stem, i, parts), first, first + share + (i < more)));
  }
  plan.index = stem + ".json";
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw core::Error(ExitCode::kUsage, core::concat(path, " is there already, and ", why,
                                                   " (it could be what somebody needs). Choose another name, or "
                                                   "replace it with --overwrite."));
}

/// What an earlier import recorded; nothing where the file is no store of an import.
std::optional<std::string> recorded_fingerprint(const std::string& path) {
  try {
    return hdf5::File::open(path).text("/", "import_fingerprint");
  } catch (const core::Error&) {
    return std::nullopt;
  }
}

/// How many pictures it has; nothing if it is damaged.
std::optional<std::int64_t> count_if_whole(const std::string& path, int threads) {
  try {
    const auto store = open_file(path, {});  // a part may be there without the others
    if (verify(*store, threads, [](std::int64_t) {}).damaged.empty()) return store->info().count;
  } catch (const core::Error& error) {
    core::log_warning(error.what());
  }
  return std::nullopt;
}

void look_at(PlannedFile& file, const ImportOptions& options, core::FileSystem& files) {
  if (!files.exists(file.path)) return;
  if (recorded_fingerprint(file.path) != file.fingerprint) {
    refuse(file.path, "it was not made from these pictures in this way");
  }
  const auto count = count_if_whole(file.path, options.threads);
  if (count && *count < file.last - file.first && !options.skip_bad) {
    refuse(file.path, "pictures were left out when it was made, while --skip-bad is not given now");
  }
  file.state = count ? State::kWhole : State::kReplaced;
  if (count) {
    core::log_info(file.path, " is there already, whole and made from the same pictures in the same way: kept");
  } else {
    core::log_warning(file.path, " is there already, but damaged: made again");
  }
}

/// Parts of the same set that the plan does not have, and its index if that names others.
std::vector<std::string> other_division(const ImportPlan& plan, const std::string& stem, core::FileSystem& files) {
  static const std::regex kNumbers("-[0-9]{5}-of-[0-9]{5}\\.h5");
  std::vector<std::string> others;
  const std::string directory = core::parent_of(stem), name = core::name_of(stem);
  if (!files.is_directory(directory)) return others;
  if (files.exists(plan.index) && core::read_text(files, plan.index) != index_text(plan)) others.push_back(plan.index);
  for (const std::string& entry : files.list(directory)) {
    if (!entry.starts_with(name) || !std::regex_match(entry.substr(name.size()), kNumbers)) continue;
    const bool planned = std::ranges::any_of(plan.files, [&](const auto& f) { return core::name_of(f.path) == entry; });
    if (!planned) others.push_back(core::join_path(directory, entry));
  }
  return others;
}

/// With --overwrite: a single file is replaced by rename; of a set in parts the old one goes first, since a mixture of
/// both would look like a set.
void plan_replacement(ImportPlan& plan, core::FileSystem& files) {
  for (PlannedFile& file : plan.files) {
    file.state = State::kReplaced;
    if (plan.in_parts() && files.exists(file.path)) plan.obsolete.push_back(file.path);
  }
  if (plan.in_parts() && files.exists(plan.index)) plan.obsolete.insert(plan.obsolete.begin(), plan.index);
}

}  // namespace

std::int64_t ImportPlan::pictures_done() const {
  std::int64_t done = 0;
  for (const PlannedFile& file : files) done += file.state == State::kWhole ? file.last - file.first : 0;
  return done;
}

ImportPlan plan_import(const PictureSource& source, const ImportOptions& options, const Destination& to) {
  PL_CHECK(source.count() > 0, ExitCode::kInput, "There are no pictures to import: ", source.description(), ".");
  core::PosixFileSystem files;
  ImportPlan plan;
  plan.info = info_of(source, model_picture(source, options));
  divide(plan, to);
  if (plan.in_parts()) plan.obsolete = other_division(plan, without_ending(to.path), files);
  if (to.overwrite) {
    plan_replacement(plan, files);
  } else if (!plan.obsolete.empty()) {
    refuse(plan.obsolete.front(), "it belongs to another set or another division of this one");
  }
  for (PlannedFile& file : plan.files) {
    file.fingerprint = import_fingerprint(source, options, plan.info, file.first, file.last);
    if (!to.overwrite) look_at(file, options, files);
  }
  return plan;
}

std::string index_text(const ImportPlan& plan) {
  nlohmann::ordered_json index{{"format", "pathline-images-index"}, {"version", 1}};
  for (const PlannedFile& file : plan.files) index["parts"].push_back({{"file", core::name_of(file.path)}});
  return index.dump(2) + "\n";
}

}  // namespace pathline::data
