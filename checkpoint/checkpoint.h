// SPDX-License-Identifier: Apache-2.0
// Checkpoints: committed or not there (docs/formats/checkpoint.md). Byte blocks and a manifest; no optimizer, no MPI.
// Collectives arrive as small callables, so that this folder does not know the cluster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::checkpoint {

/// A tensor of one kind of state, whole: kind "master", "adam_m", "adam_v", "ema-0.999".
struct TensorRecord {
  std::string kind;
  std::string name;
  std::vector<std::int64_t> shape;
  std::string dtype = "F32";
};

/// A piece of a tensor that this rank holds: elements [offset, offset + count) of its flattened form.
struct SegmentBytes {
  std::string kind;
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::span<const std::byte> bytes;  // not owned; must live until save() returns
};

/// Everything a checkpoint says beside its tensors; equal on all ranks. Free text and numbers, nothing of this
/// folder's.
struct State {
  std::uint64_t step = 0;
  std::uint64_t position = 0;
  std::uint64_t optimizer_step = 0;
  std::uint64_t seed = 0;
  std::string recipe;  // effective recipe, TOML
  std::string kernel_fingerprint;
  std::string data_fingerprint;
  std::vector<std::uint64_t> skipped_windows;  // first positions of skipped windows
  std::uint64_t skips_in_a_row = 0;
  std::uint64_t rollbacks_in_a_row = 0;         // 0 in checkpoints that do not say
  std::int64_t saved_at = 0;                    // seconds since 1970, for retention; 0 where it is not known
  std::map<std::string, double> metrics;        // for retention and for people
  std::map<std::string, std::string> versions;  // library -> version
  std::map<std::string, std::string> extra;
};

/// The run directory has another owner now: two jobs must not write one run. This job ends (ExitCode::kEnvironment).
class LostLock : public core::Error {
 public:
  explicit LostLock(const std::string& paragraph) : core::Error(core::ExitCode::kEnvironment, paragraph) {}
};

/// The collectives that saving and loading need. All ranks take part in each.
struct Collectives {
  int rank = 0;
  int ranks = 1;
  /// Not collective: this rank has got somewhere (a few MiB are written), for whoever watches it.
  std::function<void()> progress = [] {};
  std::function<void()> barrier = [] {};
  /// Rank 0's bytes to all.
  std::function<std::string(const std::string&)> broadcast = [](const std::string& text) { return text; };
  /// One text a rank, in rank order, on every rank.
  std::function<std::vector<std::string>(const std::string&)> gather = [](const std::string& text) {
    return std::vector<std::string>{text};
  };
};

/// Bytes of all tensors: what a checkpoint takes on storage but for headers and manifest.
std::uint64_t bytes_of(const std::vector<TensorRecord>& tensors);

/// Collective. Writes `directory`/step-N by the commit protocol: each rank its own file, rank 0 the manifest and the
/// rename. When it returns the checkpoint is committed and `latest` names it; a failure on any rank (a full disk:
/// noticed before the first byte where possible) throws on all ranks (ExitCode::kEnvironment, the first rank's reason)
/// and leaves earlier checkpoints untouched; LostLock on all ranks where `still_owner` said no. `attempt` is the
/// fencing number of the run lock. `still_owner` is asked (rank 0) just before the rename.
void save(
    core::FileSystem& files, const std::string& directory, const State& state, const std::vector<TensorRecord>& tensors,
    const std::vector<SegmentBytes>& segments, std::uint64_t attempt, const Collectives& ranks,
    const std::function<bool()>& still_owner = [] { return true; });

/// Elements [offset, offset + count) of a tensor that somebody wants to have in `out` (exact size, not owned).
struct Wanted {
  std::string kind;
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::span<std::byte> out;
};

/// Part `index` of `count` equal ones.
struct Share {
  int index = 0, count = 1;
};

/// One committed checkpoint, opened for reading. Local: any rank reads what it wants; one thread at a time.
class Reader {
 public:
  /// Reads and checks the manifest of `directory` (a step-N). Throws ExitCode::kInput naming what is wrong.
  Reader(core::FileSystem& files, const std::string& directory);
  ~Reader();
  Reader(Reader&&) noexcept;

  const std::string& directory() const;
  const State& state() const;
  const std::vector<TensorRecord>& tensors() const;
  bool has_kind(const std::string& kind) const;
  std::vector<std::string> kinds() const;

  /// Every 1 MiB piece touched is checked against its CRC32C; a mismatch throws ExitCode::kInput naming file and piece,
  /// and then what is in the destinations must not be used. Uses a few threads where much is wanted: better one call
  /// for many ranges than many calls, which also read the pieces at their ends once each.
  void read(std::span<const Wanted> ranges) const;
  void read(const std::string& kind, const std::string& name, std::uint64_t offset, std::uint64_t count,
            std::span<std::byte> out) const;

  /// Checks every byte of every file, or of a share of each. Returns what is wrong, one line each; empty if all is
  /// well.
  std::vector<std::string> verify(Share share = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A checkpoint as `list` shows it.
struct Listed {
  std::uint64_t step = 0;
  std::string directory;
  std::uint64_t bytes = 0;
  bool latest = false;
  std::string problem;  // why the manifest cannot be read; empty if it can
  std::int64_t saved_at = 0;
  std::map<std::string, double> metrics;
};
/// What makes a checkpoint better than another.
struct BestBy {
  enum class Mode { kMin, kMax };
  std::string metric = "held_out_loss";
  Mode mode = Mode::kMin;
};
/// Committed step-N of `directory`, oldest first.
std::vector<Listed> list(core::FileSystem& files, const std::string& directory);

/// The step-N directory that `path` means: a run directory, its checkpoints/ or one step-N. For the first two: `latest`
/// if it is good, else the newest with a good manifest. Throws ExitCode::kInput if there is none.
std::string resolve(core::FileSystem& files, const std::string& path);

/// All ranks: the newest checkpoint all of whose bytes verify, or nullopt where `directory` holds no checkpoint at all.
/// Each rank reads its share of the bytes. Each bad one is reported through `say` (path and reason). Throws
/// ExitCode::kInput if there are some but all are bad, on all ranks.
std::optional<std::string> newest_good(core::FileSystem& files, const std::string& directory,
                                       const std::function<void(const std::string&)>& say,
                                       const Collectives& ranks = {});

/// Which checkpoints stay; one reason suffices.
struct Retention {
  std::int64_t keep_last = 3;         // newest ones, at least 1
  std::int64_t keep_every_steps = 0;  // 0: none
  double keep_every_hours = 0;        // 0: none
  std::int64_t keep_best = 0;
  BestBy best = {};
};
/// The `count` best, best first; of equals the earlier. Where the metric is missing or not finite, and where the
/// manifest cannot be read, a checkpoint is none of them. Pure.
std::vector<std::uint64_t> best_of(const std::vector<Listed>& checkpoints, const BestBy& by, std::int64_t count);
/// Steps to delete, ascending; never the newest. Unreadable ones count for nothing and stay: a moment's fault of
/// storage must not cost a milestone. By hours stays the oldest, and then each that was saved that much later than the
/// one before that stays. Deleting and asking again gives nothing more. Pure.
std::vector<std::uint64_t> to_delete(const std::vector<Listed>& checkpoints, const Retention& policy);
/// Rank 0 only. Manifest first, sync, then data.
void delete_checkpoint(core::FileSystem& files, const std::string& directory);
/// Rank 0 only, lock held: a run that goes on from `step` leaves later checkpoints behind, damaged ones or those of
/// another branch. step-M becomes aside-step-M.K and no longer counts; nothing is deleted. Returns the new paths.
std::vector<std::string> set_aside_after(core::FileSystem& files, const std::string& directory, std::uint64_t step);
/// Rank 0 only, lock held, at start: removes *.tmp, half-deleted and superseded checkpoints; a superseded one whose
/// step-N is missing gets its name back.
void remove_litter(core::FileSystem& files, const std::string& directory);

}  // namespace pathline::checkpoint
