// SPDX-License-Identifier: Apache-2.0
#include "sampler/part_store.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "core/error.h"
#include "core/text.h"
#include "sampler/part_file.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;
using core::join_path;

constexpr const char* kRecordName = "job.json";
constexpr std::string_view kPart = "part-";
constexpr std::size_t kDigits = 12;

/// "part-000000000016-000000000032" -> [16, 32).
std::optional<IdRange> range_of_name(std::string_view name) {
  if (name.size() != kPart.size() + 2 * kDigits + 1 || !name.starts_with(kPart)) return std::nullopt;
  const auto number = [&](std::size_t at, std::int64_t& value) {
    const char* begin = name.data() + at;
    const auto [end, problem] = std::from_chars(begin, begin + kDigits, value);
    return problem == std::errc() && end == begin + kDigits;
  };
  IdRange range;
  const bool read = number(kPart.size(), range.first) && number(kPart.size() + kDigits + 1, range.last);
  return read && range.first < range.last ? std::optional(range) : std::nullopt;
}

/// "PID.tmp". Not "tar.PID.tmp", which is another set's.
bool is_numbered(const std::string& rest) {
  const auto digits = rest.find_first_not_of("0123456789");
  return digits > 0 && digits != std::string::npos && rest.substr(digits) == ".tmp";
}

}  // namespace

void remove_unfinished(core::FileSystem& files, const std::string& path) {
  const std::string beside = core::parent_of(path), start = core::name_of(path) + ".";
  for (const std::string& name : files.list(beside)) {
    if (!name.starts_with(start)) continue;
    const std::string rest = name.substr(start.size());
    if (rest.starts_with("tmp-") || is_numbered(rest)) core::remove_tree(files, join_path(beside, name));
  }
}

PartStore::PartStore(core::FileSystem& files, const std::string& output)
    : files_(files),
      output_(core::without_slash(output)),
      directory_(output_ + ".parts"),
      done_(directory_ + ".done") {}

std::optional<JobRecord> PartStore::begun() const {
  const std::string path = join_path(directory_, kRecordName);
  if (!files_.exists(path)) return std::nullopt;
  return JobRecord::parse(core::read_text(files_, path), path);
}

void PartStore::open(const JobRecord& record) {
  remove_done();
  const std::optional<JobRecord> other = begun();
  if (!other) {
    core::make_durable_directory(files_, directory_);
    core::replace_file(files_, join_path(directory_, kRecordName), record.text());
  } else {
    const std::vector<std::string> differences = other->differences(record);
    PL_CHECK(differences.empty(), ExitCode::kUsage, directory_,
             " holds parts of another job: ", core::listed(differences),
             " (its samples do not belong into this set). Ask for that job again to finish it, choose another output, "
             "or remove the directory to give it up.");
  }
  for (const std::string& name : files_.list(directory_)) {
    if (name.ends_with(".tmp")) files_.remove(join_path(directory_, name));
  }
  remove_unfinished(files_, output_);
}

std::vector<IdRange> PartStore::committed() const {
  std::vector<IdRange> ranges;
  for (const std::string& name : files_.list(directory_)) {
    if (const auto range = range_of_name(name)) ranges.push_back(*range);
  }
  return ranges;
}

std::string PartStore::path_of(IdRange range) const {
  char name[64];
  std::snprintf(name, sizeof name, "part-%012lld-%012lld", static_cast<long long>(range.first),
                static_cast<long long>(range.last));
  return join_path(directory_, name);
}

void PartStore::commit(std::uint64_t job, IdRange range, std::span<const Record> records) {
  const std::vector<std::byte> bytes = encode_part(job, range, records);
  core::replace_file(files_, path_of(range), [&](core::WritableFile& file) { file.append(bytes); });
}

void PartStore::read_all(std::uint64_t job, IdRange all, const std::function<void(Record&&)>& take) const {
  std::int64_t next = all.first;
  for (const IdRange& range : committed()) {
    if (range.last <= next || range.first > next) continue;
    const std::string path = path_of(range);
    std::vector<std::byte> bytes(files_.size(path));
    files_.read(path, 0, bytes);
    for (Record& record : decode_part(bytes, job, range, path)) {
      if (record.id != next || next == all.last) continue;
      take(std::move(record));
      ++next;
    }
  }
  PL_CHECK(next == all.last, ExitCode::kInput, "sample ", next, " is in no part of ", directory_,
           " (the set would have a gap and is not written). Start the job again: it makes what is missing.");
}

void PartStore::remove() {
  remove_done();
  files_.rename(directory_, done_);
  files_.sync_directory(core::parent_of(done_));
  remove_done();
}

void PartStore::remove_done() { core::remove_tree(files_, done_); }

}  // namespace pathline::sampler
