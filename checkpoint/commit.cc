// SPDX-License-Identifier: Apache-2.0
// save(): the commit protocol of docs/formats/checkpoint.md, step by step.
#include <algorithm>
#include <exception>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "checkpoint/piece_writer.h"
#include "core/error.h"
#include "core/safetensors.h"

namespace pathline::checkpoint {
namespace {

using core::ExitCode;
using core::join_path;
using nlohmann::json;

/// What a rank tells the others about its file.
struct Written {
  FileRecord file;  // no name: the rank had nothing to write
  std::vector<Segment> segments;
};

std::string text_of(const Written& written) {
  std::vector<std::vector<std::uint64_t>> rows;
  for (const auto& s : written.segments) rows.push_back({s.tensor, s.offset, s.count, s.begin, s.end});
  const FileRecord& file = written.file;
  return json{{"name", file.name}, {"length", file.length}, {"pieces", file.pieces}, {"rows", rows}}.dump();
}

Written written_of(const json& told) {
  Written written;
  written.file = {told.at("name"), told.at("length"), told.at("pieces")};
  for (const auto& r : told.at("rows")) written.segments.push_back({r[0], r[1], r[2], 0, r[3], r[4]});
  return written;
}

constexpr std::uint64_t kWrittenAtOnce = 16 * kPieceBytes;  // then progress is told
constexpr std::uint64_t kSpareBytes = 4 << 20;              // headers and the manifest

/// Why a rank could not do its part; an empty reason if it could.
struct Failure {
  std::string reason;
  bool lost_lock = false;
};

json as_json(const Failure& failure) { return {{"reason", failure.reason}, {"lost_lock", failure.lost_lock}}; }
Failure as_failure(const json& told) { return {told.at("reason"), told.at("lost_lock")}; }

template <class Act>
Failure failure_of(const Act& act) {
  try {
    act();
    return {};
  } catch (const LostLock& error) {
    return {error.what(), true};
  } catch (const std::exception& error) {
    return {*error.what() ? error.what() : "unknown error"};
  }
}

/// One save as one rank sees it.
class Save {
 public:
  Save(core::FileSystem& files, const std::string& directory, const State& state,
       const std::vector<TensorRecord>& tensors, std::uint64_t attempt, const Collectives& ranks)
      : files_(files),
        parent_(directory),
        state_(state),
        tensors_(tensors),
        attempt_(attempt),
        ranks_(ranks),
        final_(join_path(directory, step_name(state.step))),
        temporary_(final_ + "." + std::to_string(attempt) + ".tmp") {}

  void run(const std::vector<SegmentBytes>& segments, const std::function<bool()>& still_owner) {
    agree_with_rank_0([&] { make_temporary(); });
    Written mine;
    const Failure failure = failure_of([&] { mine = write_segments(segments); });
    const std::string tables = failure.reason.empty() ? text_of(mine) : "";
    const auto told = ranks_.gather(json{{"failure", as_json(failure)}, {"written", tables}}.dump());
    refuse_failures(told);
    agree_with_rank_0([&] { commit(told, still_owner); });
  }

 private:
  void make_temporary() {
    files_.make_directory(parent_);
    files_.sync_directory(core::parent_of(parent_));
    check_free_space();
    core::remove_tree(files_, temporary_);  // of a save of this attempt that failed and could not tidy up
    files_.make_directory(temporary_);
  }

  /// A disk that is too small is better found before it is full: others write there too.
  void check_free_space() {
    const std::uint64_t needed = bytes_of(tensors_) + kSpareBytes, free = files_.free_bytes(parent_);
    PL_CHECK(free >= needed, ExitCode::kEnvironment, parent_, " has ", free >> 20, " MB left (the checkpoint takes ",
             needed >> 20,
             " MB). Free space there, lower checkpoint.keep_last, or set run.directory to larger storage.");
  }

  Written write_segments(const std::vector<SegmentBytes>& segments) {
    Written written;
    if (segments.empty()) return written;
    std::vector<core::TensorBytes> entries;
    for (const auto& s : segments) {
      const std::uint64_t index = index_of(s);
      PL_ASSERT(s.count > 0 && s.bytes.size() == s.count * core::dtype_size(tensors_[index].dtype));
      entries.push_back({core::concat(s.kind, "/", s.name, "@", s.offset),
                         tensors_[index].dtype,
                         {static_cast<std::int64_t>(s.count)},
                         s.bytes});
      written.segments.push_back({index, s.offset, s.count, 0, 0, s.bytes.size()});
    }
    write_file(entries, written);
    return written;
  }

  void write_file(const std::vector<core::TensorBytes>& entries, Written& written) {
    written.file.name = core::concat("rank-", ranks_.rank, ".safetensors");
    const std::string header = core::safetensors_header(entries, metadata());
    std::uint64_t bytes = header.size();
    for (const auto& entry : entries) bytes += entry.bytes.size();
    const auto file = files_.create_large(join_path(temporary_, written.file.name), bytes);
    PieceWriter out(*file);
    out.append(std::as_bytes(std::span(header)));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      written.segments[i].begin = out.length();
      append(out, entries[i].bytes);
      written.segments[i].end = out.length();
    }
    file->sync();
    file->close();
    files_.sync_directory(temporary_);
    written.file.length = out.length();
    written.file.pieces = out.pieces();
  }

  void append(PieceWriter& out, std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const auto part = bytes.first(std::min<std::uint64_t>(bytes.size(), kWrittenAtOnce));
      out.append(part);
      ranks_.progress();
      bytes = bytes.subspan(part.size());
    }
  }

  std::map<std::string, std::string> metadata() const {
    return {{"format", kFormat},
            {"version", std::to_string(kVersion)},
            {"step", std::to_string(state_.step)},
            {"attempt", std::to_string(attempt_)},
            {"rank", std::to_string(ranks_.rank)}};
  }

  std::uint64_t index_of(const SegmentBytes& segment) {
    if (index_.empty()) {
      for (std::size_t i = 0; i < tensors_.size(); ++i) index_[{tensors_[i].kind, tensors_[i].name}] = i;
    }
    const auto found = index_.find({segment.kind, segment.name});
    PL_ASSERT(found != index_.end());
    return found->second;
  }

  /// Everywhere: throws the first rank's reason, if any rank failed.
  void refuse_failures(const std::vector<std::string>& told) {
    for (std::size_t rank = 0; rank < told.size(); ++rank) {
      Failure failure = as_failure(json::parse(told[rank]).at("failure"));
      if (failure.reason.empty()) continue;
      discard();
      if (ranks_.ranks > 1) failure.reason = core::concat("rank ", rank, ": ", failure.reason);
      throw_failure(failure);
    }
  }

  void commit(const std::vector<std::string>& told, const std::function<bool()>& still_owner) {
    const std::string text = manifest_of(told);
    const auto file = files_.create(join_path(temporary_, kManifestName));
    file->append(std::as_bytes(std::span(text)));
    file->sync();
    file->close();
    files_.sync_directory(temporary_);
    if (!still_owner()) {
      throw LostLock(core::concat(
          "the run lock of attempt ", attempt_,
          " has another owner now (two jobs must not write one run). This job must end; the other one goes on."));
    }
    supersede();
    rename_to_final();
    files_.sync_directory(parent_);
    core::replace_file(files_, join_path(parent_, "latest"), core::name_of(final_) + "\n");
  }

  std::string manifest_of(const std::vector<std::string>& told) {
    Manifest manifest;
    manifest.state = state_;
    manifest.attempt = attempt_;
    manifest.world_size = static_cast<std::uint64_t>(ranks_.ranks);
    manifest.tensors = tensors_;
    for (const auto& text : told) {
      Written written = written_of(json::parse(json::parse(text).at("written").get_ref<const std::string&>()));
      if (written.file.name.empty()) continue;
      check_size(written.file);
      for (auto& segment : written.segments) segment.file = manifest.files.size();
      manifest.segments.insert(manifest.segments.end(), written.segments.begin(), written.segments.end());
      manifest.files.push_back(std::move(written.file));
    }
    check_tables(manifest, temporary_);
    return manifest_text(manifest);
  }

  void check_size(const FileRecord& file) {
    const std::string path = join_path(temporary_, file.name);
    const std::uint64_t size = files_.size(path);
    PL_CHECK(size == file.length, ExitCode::kEnvironment, path, " has ", size, " bytes although ", file.length,
             " were written (the storage loses data, or is not shared by all ranks). Check that run.directory lies on "
             "storage that all ranks share.");
  }

  void supersede() {
    if (!files_.exists(final_)) return;
    const auto numbers = superseded_of(files_, parent_, state_.step);
    const std::string target = superseded_name(state_.step, numbers.empty() ? 1 : numbers.back() + 1);
    try {
      files_.rename(final_, join_path(parent_, target));
    } catch (const core::Error&) {
      if (files_.exists(final_) || !files_.exists(join_path(parent_, target))) throw;
    }
  }

  /// Over NFS a rename whose answer was lost is sent again and then finds no source: it has succeeded all the same.
  void rename_to_final() {
    try {
      files_.rename(temporary_, final_);
    } catch (const core::Error&) {
      if (files_.exists(temporary_) || !has_manifest(files_, final_)) throw;
      const Manifest there = read_manifest(files_, final_);
      if (there.attempt != attempt_ || there.state.step != state_.step) throw;
    }
  }

  /// Rank 0 acts; all ranks return or throw together.
  template <class Act>
  void agree_with_rank_0(const Act& act) {
    Failure failure;
    if (ranks_.rank == 0) failure = failure_of(act);
    failure = as_failure(json::parse(ranks_.broadcast(as_json(failure).dump())));
    if (failure.reason.empty()) return;
    discard();
    throw_failure(failure);
  }

  [[noreturn]] void throw_failure(const Failure& failure) const {
    const auto text = core::concat("checkpoint ", final_, " could not be saved: ", failure.reason,
                                   " Earlier checkpoints are untouched.");
    if (failure.lost_lock) throw LostLock(text);
    throw core::Error(ExitCode::kEnvironment, text);
  }

  /// Rank 0: the reason is worth more than what tidying up may meet; the next start removes what stays.
  void discard() {
    if (ranks_.rank == 0) failure_of([&] { core::remove_tree(files_, temporary_); });
  }

  core::FileSystem& files_;
  const std::string& parent_;
  const State& state_;
  const std::vector<TensorRecord>& tensors_;
  std::uint64_t attempt_;
  const Collectives& ranks_;
  std::string final_;
  std::string temporary_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> index_;
};

}  // namespace

std::uint64_t bytes_of(const std::vector<TensorRecord>& tensors) {
  std::uint64_t bytes = 0;
  for (const auto& tensor : tensors) bytes += elements_of(tensor) * core::dtype_size(tensor.dtype);
  return bytes;
}

void save(core::FileSystem& files, const std::string& directory, const State& state,
          const std::vector<TensorRecord>& tensors, const std::vector<SegmentBytes>& segments, std::uint64_t attempt,
          const Collectives& ranks, const std::function<bool()>& still_owner) {
  Save(files, directory, state, tensors, attempt, ranks).run(segments, still_owner);
}

}  // namespace pathline::checkpoint
