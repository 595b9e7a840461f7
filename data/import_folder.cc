// SPDX-License-Identifier: Apache-2.0
// Folders of class folders, on disk; and what folder names mean, for archives too.
#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "core/error.h"
#include "core/text.h"
#include "data/dataset_json.h"
#include "data/import_sources.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using Parts = std::vector<std::string>;

bool is_number(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); });
}

Parts folders_of(const std::string& name) {
  Parts parts = core::split(name, '/');
  parts.pop_back();
  return parts;
}

/// How many leading folders all names share.
std::size_t shared_folders(const std::vector<Parts>& folders) {
  std::size_t shared = folders.front().size();
  for (const Parts& parts : folders) {
    const auto end = std::min(shared, parts.size());
    shared = static_cast<std::size_t>(
        std::mismatch(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(end), folders.front().begin()).first -
        parts.begin());
  }
  return shared;
}

[[noreturn]] void refuse(const std::string& origin, const std::string& found, const std::set<std::string>& tops) {
  std::vector<std::string> shown(tops.begin(), tops.end());
  if (shown.size() > 12) shown.resize(12), shown.push_back("...");
  throw core::Error(ExitCode::kInput,
                    core::concat(origin, ": the folders do not say which class a picture has: ", found,
                                 ". Folders at the top are: ", core::listed(shown),
                                 ". Choose the folder that holds the class folders with --under FOLDER."));
}

void collect(core::FileSystem& files, const std::string& folder, const std::string& prefix, EncodedSet& set) {
  for (const std::string& name : files.list(folder)) {
    if (name.front() == '.') continue;
    const std::string path = core::join_path(folder, name);
    if (files.is_directory(path)) {
      collect(files, path, prefix + name + "/", set);
    } else if (has_picture_ending(name)) {
      EncodedPicture& picture = set.pictures.emplace_back();
      picture.name = prefix + name;
      picture.path = path;
      picture.bytes = files.size(path);
      picture.stamp = file_stamp(files, path);
    }
  }
}

void assign_classes(EncodedSet& set, const std::string& origin) {
  std::vector<std::string> names;
  for (const auto& picture : set.pictures) names.push_back(picture.name);
  const ClassFolders classes = class_folders(names, origin);
  set.class_names = classes.class_names;
  set.classes = static_cast<std::int64_t>(classes.class_names.size());
  for (std::size_t i = 0; i < names.size(); ++i) set.pictures[i].label = classes.labels[i];
}

}  // namespace

bool has_picture_ending(const std::string& name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  std::string ending = name.substr(dot);
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

ClassFolders class_folders(const std::vector<std::string>& names, const std::string& origin) {
  ClassFolders result;
  if (names.empty()) return result;
  std::vector<Parts> folders;
  for (const auto& name : names) folders.push_back(folders_of(name));
  std::size_t level = shared_folders(folders);
  const bool flat = std::all_of(folders.begin(), folders.end(), [&](const Parts& p) { return p.size() == level; });
  if (flat) {
    result.labels.assign(names.size(), -1);
    return result;
  }
  std::set<std::string> classes;
  for (const Parts& parts : folders) classes.insert(parts.size() > level ? parts[level] : ".");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Parts& parts = folders[i];
    if (parts.size() == level) refuse(origin, names[i] + " lies in none", classes);
    const bool divided = parts.size() == level + 2 && is_number(parts.back());
    if (parts.size() > level + 1 && !divided) refuse(origin, names[i] + " lies too deep", classes);
  }
  result.class_names.assign(classes.begin(), classes.end());
  for (const Parts& parts : folders) {
    result.labels.push_back(std::distance(classes.begin(), classes.find(parts[level])));
  }
  return result;
}

bool lies_below(const std::string& name, const std::string& under) {
  return under.empty() || name.starts_with(under.back() == '/' ? under : under + "/");
}

void keep_below(EncodedSet& set, const std::string& under, const std::string& origin) {
  std::erase_if(set.pictures, [&](const EncodedPicture& p) { return !lies_below(p.name, under); });
  PL_CHECK(!set.pictures.empty(), ExitCode::kInput, origin, " has no PNG or JPEG files",
           under.empty() ? "" : " below " + under, ". Check the path.");
}

void assign_labels(EncodedSet& set, const std::string& kind, const std::optional<std::string>& listing,
                   const std::string& under, const std::string& origin) {
  keep_below(set, under, origin);
  if (listing) {
    assign_listed_labels(set, *listing, under, core::concat(origin, " (", kDatasetJson, ")"));
  } else {
    assign_classes(set, origin);
  }
  const std::string from = listing ? core::concat("classes, labels from ", kDatasetJson) : "class folders";
  set.description = core::concat(kind, " of ", set.pictures.size(), " pictures, ",
                                 set.classes ? std::to_string(set.classes) : "no", " ", from);
}

std::unique_ptr<PictureSource> open_folder(core::FileSystem& files, const std::string& folder,
                                           const std::string& under) {
  EncodedSet set;
  collect(files, folder, "", set);
  const std::string list = core::join_path(folder, kDatasetJson);
  const auto listing = files.exists(list) ? std::optional(core::read_text(files, list)) : std::nullopt;
  assign_labels(set, "folder", listing, under, folder);
  return encoded_pictures(files, std::move(set));
}

}  // namespace pathline::data
