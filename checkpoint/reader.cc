// SPDX-License-Identifier: Apache-2.0
// Reading what was committed: no byte is handed out before its 1 MiB piece was checked.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "core/crc32c.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace pathline::checkpoint {
namespace {

using core::ExitCode;

constexpr std::uint64_t kVerifyChunk = 16 * kPieceBytes;

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

  // The last piece that was wanted in part: neighbouring ranges share it.
  std::uint64_t kept_file = ~std::uint64_t{0};
  std::uint64_t kept_piece = 0;
  std::vector<std::byte> kept;

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

  bool matches(std::uint64_t file, std::uint64_t piece, std::span<const std::byte> bytes) const {
    return core::crc32c(bytes) == manifest.files[file].pieces[piece];
  }

  void check_size_once(std::uint64_t file) {
    if (size_checked[file]) return;
    const std::string problem = size_problem(file);
    PL_CHECK(problem.empty(), ExitCode::kInput, problem, " The checkpoint is damaged; use an earlier one.");
    size_checked[file] = true;
  }

  /// Whole pieces from `piece` on, straight into `out`.
  void read_pieces(std::uint64_t file, std::uint64_t piece, std::span<std::byte> out) {
    files.read(path_of(file), piece * kPieceBytes, out);
    for (; !out.empty(); ++piece) {
      const auto part = out.first(piece_length(manifest.files[file], piece));
      PL_CHECK(matches(file, piece, part), ExitCode::kInput, piece_problem(file, piece),
               " The checkpoint is damaged; use an earlier one.");
      out = out.subspan(part.size());
    }
  }

  std::span<const std::byte> keep(std::uint64_t file, std::uint64_t piece) {
    if (kept_file != file || kept_piece != piece) {
      kept_file = ~std::uint64_t{0};  // in case the check throws
      kept.resize(piece_length(manifest.files[file], piece));
      read_pieces(file, piece, kept);
      kept_file = file;
      kept_piece = piece;
    }
    return kept;
  }

  /// Bytes [begin, begin + out.size()) of a file: a part of the first piece, whole pieces, a part of the last.
  void read_bytes(std::uint64_t file, std::uint64_t begin, std::span<std::byte> out) {
    check_size_once(file);
    while (!out.empty()) {
      const std::uint64_t piece = begin / kPieceBytes, in_piece = begin % kPieceBytes;
      const std::uint64_t length = piece_length(manifest.files[file], piece);
      std::uint64_t done = 0;
      if (in_piece == 0 && out.size() >= length) {
        const bool to_the_end = begin + out.size() == manifest.files[file].length;
        done = to_the_end ? out.size() : out.size() - out.size() % kPieceBytes;
        read_pieces(file, piece, out.first(done));
      } else {
        done = std::min<std::uint64_t>(out.size(), length - in_piece);
        std::memcpy(out.data(), keep(file, piece).data() + in_piece, done);
      }
      begin += done;
      out = out.subspan(done);
    }
  }

  void verify_file(std::uint64_t file, std::vector<std::string>& problems) const {
    const FileRecord& record = manifest.files[file];
    if (const std::string problem = size_problem(file); !problem.empty()) {
      problems.push_back(problem);
      return;
    }
    std::vector<std::byte> buffer;
    for (std::uint64_t begin = 0; begin < record.length; begin += buffer.size()) {
      buffer.resize(std::min(kVerifyChunk, record.length - begin));
      files.read(path_of(file), begin, buffer);
      for (std::uint64_t at = 0; at < buffer.size(); at += kPieceBytes) {
        const std::uint64_t piece = (begin + at) / kPieceBytes;
        if (!matches(file, piece, std::span(buffer).subspan(at, piece_length(record, piece)))) {
          problems.push_back(piece_problem(file, piece));
        }
      }
    }
  }
};

Reader::Reader(core::FileSystem& files, const std::string& directory)
    : impl_(std::make_unique<Impl>(files, directory)) {}
Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;

const std::string& Reader::directory() const { return impl_->directory; }
const State& Reader::state() const { return impl_->manifest.state; }
const std::vector<TensorRecord>& Reader::tensors() const { return impl_->manifest.tensors; }

std::vector<std::string> Reader::kinds() const {
  std::set<std::string> kinds;
  for (const auto& tensor : tensors()) kinds.insert(tensor.kind);
  return {kinds.begin(), kinds.end()};
}

bool Reader::has_kind(const std::string& kind) const {
  return std::any_of(tensors().begin(), tensors().end(), [&](const auto& tensor) { return tensor.kind == kind; });
}

void Reader::read(const std::string& kind, const std::string& name, std::uint64_t offset, std::uint64_t count,
                  std::span<std::byte> out) const {
  Impl& impl = *impl_;
  const auto found = impl.index.find({kind, name});
  PL_CHECK(found != impl.index.end(), ExitCode::kInput, "checkpoint ", directory(), " holds no ", kind, "/", name,
           " (it has ", core::listed(kinds()), "). Was it written by a run of another model or other EMA decays?");
  const TensorRecord& tensor = tensors()[found->second];
  const std::uint64_t size = core::dtype_size(tensor.dtype), elements = elements_of(tensor), end = offset + count;
  PL_ASSERT(offset <= elements && count <= elements - offset && out.size() == count * size);
  for (std::size_t i = impl.first_segment[found->second]; i < impl.first_segment[found->second + 1]; ++i) {
    const Segment& s = impl.manifest.segments[i];
    const std::uint64_t from = std::max(s.offset, offset), to = std::min(s.offset + s.count, end);
    if (from >= to) continue;
    const auto part = out.subspan((from - offset) * size, (to - from) * size);
    impl.read_bytes(s.file, s.begin + (from - s.offset) * size, part);
  }
}

std::vector<std::string> Reader::verify() const {
  std::vector<std::string> problems;
  for (std::size_t file = 0; file < impl_->manifest.files.size(); ++file) impl_->verify_file(file, problems);
  return problems;
}

}  // namespace pathline::checkpoint
