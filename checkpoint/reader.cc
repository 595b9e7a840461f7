// SPDX-License-Identifier: Apache-2.0
// Reading what was committed: no byte is handed out before its 1 MiB piece was checked.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "checkpoint/piece_reader.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace pathline::checkpoint {
namespace {

using core::ExitCode;

std::uint64_t piece_length(const FileRecord& file, std::uint64_t piece) {
  return std::min(kPieceBytes, file.length - piece * kPieceBytes);
}

}  // namespace

struct Reader::Impl {
  core::FileSystem& files;
  std::string directory;
  Manifest manifest;
  std::map<std::pair<std::string, std::string>, std::uint64_t> index;  // (kind, name) -> tensor
  std::vector<std::size_t> first_segment;                              // of every tensor, and one past the last
  std::vector<bool> size_checked;                                      // per file

  Impl(core::FileSystem& file_system, const std::string& path)
      : files(file_system), directory(path), manifest(read_manifest(file_system, path)) {
    size_checked.resize(manifest.files.size());
    std::size_t segment = 0;
    for (std::size_t t = 0; t < manifest.tensors.size(); ++t) {
      index[{manifest.tensors[t].kind, manifest.tensors[t].name}] = t;
      first_segment.push_back(segment);
      while (segment < manifest.segments.size() && manifest.segments[segment].tensor == t) ++segment;
    }
    first_segment.push_back(segment);
  }

  std::string path_of(std::uint64_t file) const { return core::join_path(directory, manifest.files[file].name); }

  std::string size_problem(std::uint64_t file) const {
    const std::string path = path_of(file);
    if (!files.exists(path)) return path + " is missing.";
    const std::uint64_t size = files.size(path), length = manifest.files[file].length;
    return size == length ? "" : core::concat(path, " has ", size, " bytes instead of ", length, ".");
  }

  /// "master/w [0, 100) and adam_m/w [5, 9)": whose bytes lie in this piece.
  std::string tensors_in(std::uint64_t file, std::uint64_t piece) const {
    const std::uint64_t begin = piece * kPieceBytes, end = begin + piece_length(manifest.files[file], piece);
    std::vector<std::string> names;
    for (const auto& s : manifest.segments) {
      if (s.file != file || s.begin >= end || s.end <= begin) continue;
      const auto& tensor = manifest.tensors[s.tensor];
      names.push_back(core::concat(tensor.kind, "/", tensor.name, " [", s.offset, ", ", s.offset + s.count, ")"));
    }
    return names.empty() ? "the file's header" : core::listed(names);
  }

  std::string piece_problem(std::uint64_t file, std::uint64_t piece) const {
    return core::concat(path_of(file), ": piece ", piece, " (1 MiB from byte ", piece * kPieceBytes,
                        ") does not match its CRC32C; it holds ", tensors_in(file, piece), ".");
  }

  void check_size_once(std::uint64_t file) {
    if (size_checked[file]) return;
    const std::string problem = size_problem(file);
    PL_CHECK(problem.empty(), ExitCode::kInput, problem, " The checkpoint is damaged; use an earlier one.");
    size_checked[file] = true;
  }

  /// Where the bytes of a range lie, added to `wanted`.
  void find(const Wanted& range, std::vector<WantedBytes>& wanted) {
    const auto found = index.find({range.kind, range.name});
    PL_CHECK(found != index.end(), ExitCode::kInput, "checkpoint ", directory, " holds no ", range.kind, "/",
             range.name, " (it has ", core::listed(kinds()),
             "). Was it written by a run of another model or other EMA decays?");
    const TensorRecord& tensor = manifest.tensors[found->second];
    const std::uint64_t size = core::dtype_size(tensor.dtype), elements = elements_of(tensor);
    PL_ASSERT(range.offset <= elements && range.count <= elements - range.offset &&
              range.out.size() == range.count * size);
    for (std::size_t i = first_segment[found->second]; i < first_segment[found->second + 1]; ++i) {
      const Segment& s = manifest.segments[i];
      const std::uint64_t from = std::max(s.offset, range.offset);
      const std::uint64_t to = std::min(s.offset + s.count, range.offset + range.count);
      if (from >= to) continue;
      check_size_once(s.file);
      const auto out = range.out.subspan((from - range.offset) * size, (to - from) * size);
      wanted.push_back({s.file, s.begin + (from - s.offset) * size, out});
    }
  }

  std::vector<std::string> kinds() const {
    std::set<std::string> kinds;
    for (const auto& tensor : manifest.tensors) kinds.insert(tensor.kind);
    return {kinds.begin(), kinds.end()};
  }

  void verify_file(std::uint64_t file, Share share, std::vector<std::string>& problems) const {
    if (const std::string problem = size_problem(file); !problem.empty()) {
      problems.push_back(problem);
      return;
    }
    for (const auto piece : damaged_pieces(files, directory, manifest, file, share))
      problems.push_back(piece_problem(file, piece));
  }
};

Reader::Reader(core::FileSystem& files, const std::string& directory)
    : impl_(std::make_unique<Impl>(files, directory)) {}
Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;

const std::string& Reader::directory() const { return impl_->directory; }
const State& Reader::state() const { return impl_->manifest.state; }
const std::vector<TensorRecord>& Reader::tensors() const { return impl_->manifest.tensors; }

std::vector<std::string> Reader::kinds() const { return impl_->kinds(); }

bool Reader::has_kind(const std::string& kind) const {
  return std::any_of(tensors().begin(), tensors().end(), [&](const auto& tensor) { return tensor.kind == kind; });
}

void Reader::read(std::span<const Wanted> ranges) const {
  std::vector<WantedBytes> wanted;
  for (const Wanted& range : ranges) impl_->find(range, wanted);
  read_pieces(impl_->files, directory(), impl_->manifest, wanted, [this](std::uint64_t file, std::uint64_t piece) {
    throw core::Error(ExitCode::kInput,
                      impl_->piece_problem(file, piece) + " The checkpoint is damaged; use an earlier one.");
  });
}

void Reader::read(const std::string& kind, const std::string& name, std::uint64_t offset, std::uint64_t count,
                  std::span<std::byte> out) const {
  const Wanted one{kind, name, offset, count, out};
  read(std::span(&one, 1));
}

std::vector<std::string> Reader::verify(Share share) const {
  std::vector<std::string> problems;
  for (std::size_t file = 0; file < impl_->manifest.files.size(); ++file) impl_->verify_file(file, share, problems);
  return problems;
}

}  // namespace pathline::checkpoint
