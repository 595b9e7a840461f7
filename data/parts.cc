// SPDX-License-Identifier: Apache-2.0
// A data set of one file or of several: paths, shell patterns and part indexes become a list of files, and the files
// one source.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"
#include "data/content_digest.h"
#include "data/recognised.h"

namespace pathline::data {

namespace {

using core::ExitCode;
using Sources = std::vector<std::unique_ptr<ShardSource>>;

/// The files that a part index names, in its order.
std::vector<std::string> indexed(const std::string& path) {
  core::PosixFileSystem files;
  std::vector<std::string> parts;
  try {
    const nlohmann::json index = nlohmann::json::parse(core::read_text(files, path));
    PL_CHECK(index.at("format") == "pathline-images-index" && index.at("version") == 1, ExitCode::kInput, path,
             " is not a part index of version 1. Give the parts themselves, or a pattern.");
    for (const nlohmann::json& part : index.at("parts")) {
      parts.push_back(core::join_path(core::parent_of(path), part.at("file").get<std::string>()));
    }
  } catch (const nlohmann::json::exception& failure) {
    throw core::Error(ExitCode::kInput, core::concat("cannot read the part index ", path, " (", failure.what(),
                                                     "). Give the parts themselves, or a pattern."));
  }
  return parts;
}

/// All files that the given paths mean, in order.
std::vector<std::string> files_of(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    const std::vector<std::string> some = path.ends_with(".json") ? indexed(path) : core::expand_pattern(path);
    PL_CHECK(!some.empty(), ExitCode::kInput, "no file matches ", path, ". Check the pattern.");
    files.insert(files.end(), some.begin(), some.end());
  }
  PL_CHECK(!files.empty(), ExitCode::kInput, "no data set was given. Name a file, several, or a pattern.");
  return files;
}

/// A missing part would make a smaller data set in silence: of names like a-00001-of-00004.h5 all must be there, once.
void check_complete(const std::vector<std::string>& files) {
  static const std::regex kPart("(.*)-([0-9]+)-of-([0-9]{1,9})(\\.[^./]*)?");
  std::map<std::pair<std::string, std::size_t>, std::set<std::string>> sets;  // (name, parts) -> numbers
  for (const std::string& file : files) {
    std::smatch match;
    if (!std::regex_match(file, match, kPart)) continue;
    const bool first = sets[std::pair(match[1].str(), std::stoul(match[3]))].insert(match[2]).second;
    PL_CHECK(first, ExitCode::kInput, "part ", file, " is given twice. Name every part once.");
  }
  for (const auto& [set, numbers] : sets) {
    PL_CHECK(numbers.size() == set.second, ExitCode::kInput, "of the ", set.second, " parts of ", set.first, " only ",
             numbers.size(), " were given (samples would be missing). Fetch the others, or rename these.");
  }
}

class PartsSource final : public ShardSource {
 public:
  explicit PartsSource(Sources parts) : parts_(std::move(parts)), info_(parts_[0]->info()) {
    for (const auto& part : parts_) {
      const SetInfo& other = part->info();
      PL_CHECK(other.kind == info_.kind && other.height == info_.height && other.width == info_.width &&
                   other.channels == info_.channels && other.class_names == info_.class_names &&
                   other.attribute_names == info_.attribute_names && (other.classes > 0) == (info_.classes > 0) &&
                   other.text == info_.text && (!info_.null_text || *other.null_text == *info_.null_text) &&
                   other.latents == info_.latents,
               ExitCode::kInput, "the parts of the data set differ (\"", parts_[0]->info().description, "\" and \"",
               other.description,
               "\"). Give parts with the same shape, classes, attributes, encoder of text and form of latents.");
      info_.classes = std::max(info_.classes, other.classes);
      starts_.push_back(starts_.back() + other.count);
    }
    info_.count = starts_.back();
    info_.digest = digest();
    info_.description =
        core::concat(parts_.size(), " parts, ", info_.count, " samples; the first is ", info_.description);
  }

  const SetInfo& info() const override { return info_; }
  void read(std::int64_t index, std::span<std::byte> out) const override {
    const auto [part, own] = find(index);
    part->read(own, out);
  }
  void will_read(std::int64_t index) const override {
    const auto [part, own] = find(index);
    part->will_read(own);
  }
  void decode_now(std::int64_t index) const override {
    const auto [part, own] = find(index);
    part->decode_now(own);
  }
  // Parts that decode nothing together count as groups of one sample beside parts that do.
  std::vector<std::int64_t> decoded_together() const override {
    std::vector<std::int64_t> firsts;
    bool any = false;
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      const std::vector<std::int64_t> own = parts_[part]->decoded_together();
      any = any || !own.empty();
      for (const std::int64_t first : own) firsts.push_back(starts_[part] + first);
      for (std::int64_t i = starts_[part]; own.empty() && i < starts_[part + 1]; ++i) firsts.push_back(i);
    }
    return any ? firsts : std::vector<std::int64_t>();
  }
  void decode_into(std::shared_ptr<DecodedChunks> store) override {
    for (const auto& part : parts_) part->decode_into(store);
  }
  std::int64_t label(std::int64_t index) const override {
    const auto [part, own] = find(index);
    return part->label(own);
  }
  std::string name_of(std::int64_t index) const override {
    const auto [part, own] = find(index);
    return part->name_of(own);
  }
  bool has_starts() const override {
    return std::ranges::all_of(parts_, [](const auto& part) { return part->has_starts(); });
  }
  void read_start(std::int64_t index, std::span<float> out) const override {
    const auto [part, own] = find(index);
    part->read_start(own, out);
  }
  bool has_masks() const override {
    return std::ranges::all_of(parts_, [](const auto& part) { return part->has_masks(); });
  }
  void read_mask(std::int64_t index, std::span<std::byte> out) const override {
    const auto [part, own] = find(index);
    part->read_mask(own, out);
  }
  void read_attributes(std::int64_t index, std::span<std::uint8_t> out) const override {
    const auto [part, own] = find(index);
    part->read_attributes(own, out);
  }
  void read_text(std::int64_t index, std::span<float> out) const override {
    const auto [part, own] = find(index);
    part->read_text(own, out);
  }
  std::optional<std::uint32_t> stored_crc(std::int64_t index) const override {
    const auto [part, own] = find(index);
    return part->stored_crc(own);
  }

 private:
  std::pair<const ShardSource*, std::int64_t> find(std::int64_t index) const {
    PL_ASSERT(index >= 0 && index < info_.count);
    const auto after = std::ranges::upper_bound(starts_, index);
    const std::size_t part = static_cast<std::size_t>(after - starts_.begin()) - 1;
    return {parts_[part].get(), index - starts_[part]};
  }

  // The same as for one file with the same items.
  std::string digest() const {
    ContentDigest digest(info_);
    for (std::int64_t i = 0; i < info_.count; ++i) {
      const auto crc = stored_crc(i);
      if (!crc) return "";
      digest.add(*crc, label(i));
    }
    return digest.text();
  }

  Sources parts_;
  SetInfo info_;
  std::vector<std::int64_t> starts_ = {0};  // index of each part's first sample, and the count
};

/// "..._y.h5" beside "..._x.h5": read together with that.
bool belongs_to_another(const std::string& file, const std::vector<std::string>& files) {
  std::string name = core::name_of(file);
  const std::size_t at = name.rfind("_y");
  if (at == std::string::npos) return false;
  name[at + 1] = 'x';
  return std::ranges::find(files, core::join_path(core::parent_of(file), name)) != files.end();
}

}  // namespace

void ShardSource::read_start(std::int64_t, std::span<float>) const { PL_ASSERT(has_starts()); }
void ShardSource::read_text(std::int64_t, std::span<float>) const { PL_ASSERT(info().null_text != nullptr); }
void ShardSource::read_attributes(std::int64_t, std::span<std::uint8_t>) const {
  PL_ASSERT(!info().attribute_names.empty());
}
void ShardSource::read_mask(std::int64_t, std::span<std::byte>) const { PL_ASSERT(has_masks()); }

std::vector<std::string> data_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files = files_of(paths);
  check_complete(files);
  return files;
}

std::unique_ptr<ShardSource> open_source(const std::vector<std::string>& paths) {
  const std::vector<std::string> files = data_files(paths);
  Sources parts;
  for (const std::string& file : files) {
    if (belongs_to_another(file, files)) continue;
    const auto [path, selection] = selected(file);
    parts.push_back(open_file(path, selection));
  }
  if (parts.size() == 1) return std::move(parts[0]);
  return std::make_unique<PartsSource>(std::move(parts));
}

}  // namespace pathline::data
