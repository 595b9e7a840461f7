// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/piece_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <tuple>

#include "core/crc32c.h"

namespace pathline::checkpoint {
namespace {

constexpr std::uint64_t kStretchPieces = 4;  // in one call of FileSystem::read; they stay in the cache for the CRC
constexpr std::uint64_t kWorthThreads = 8 * kPieceBytes;
constexpr std::size_t kThreads = 4;  // more than cores: they also wait for storage

/// What is wanted of one piece by one destination.
struct Part {
  std::uint64_t file, piece, in_piece;
  std::span<std::byte> out;
};

/// Neighbouring pieces that are read at once: straight into `out` or, where that is empty, through a buffer of the
/// thread's into `parts`.
struct Stretch {
  std::uint64_t file, piece, pieces;
  std::span<std::byte> out;
  std::span<const Part> parts;
};

std::uint64_t bytes_of(const Manifest& manifest, const Stretch& s) {
  return std::min(s.pieces * kPieceBytes, manifest.files[s.file].length - s.piece * kPieceBytes);
}

std::vector<Part> parts_of(std::span<const WantedBytes> wanted) {
  std::vector<Part> parts;
  for (auto [file, begin, out] : wanted) {
    while (!out.empty()) {
      const std::uint64_t in_piece = begin % kPieceBytes;
      const auto part = out.first(std::min<std::uint64_t>(out.size(), kPieceBytes - in_piece));
      parts.push_back({file, begin / kPieceBytes, in_piece, part});
      begin += part.size();
      out = out.subspan(part.size());
    }
  }
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return std::tie(a.file, a.piece, a.in_piece) < std::tie(b.file, b.piece, b.in_piece);
  });
  return parts;
}

std::vector<Stretch> stretches_of(const Manifest& manifest, std::span<const Part> parts) {
  std::vector<Stretch> stretches;
  for (std::size_t begin = 0, end = 0; begin < parts.size(); begin = end) {
    const Part& first = parts[begin];
    while (end < parts.size() && parts[end].file == first.file && parts[end].piece == first.piece) ++end;
    Stretch next{first.file, first.piece, 1, {}, parts.subspan(begin, end - begin)};
    if (end - begin == 1 && first.out.size() == bytes_of(manifest, next)) next.out = first.out;
    if (!stretches.empty() && !next.out.empty()) {
      Stretch& last = stretches.back();
      const bool follows = last.file == next.file && last.piece + last.pieces == next.piece && !last.out.empty() &&
                           last.out.data() + last.out.size() == next.out.data();
      if (follows && last.pieces < kStretchPieces) {
        last.out = {last.out.data(), last.out.size() + next.out.size()};
        ++last.pieces;
        continue;
      }
    }
    stretches.push_back(next);
  }
  return stretches;
}

/// work(i, buffer) for every i below `count`; a thread keeps its buffer. They begin in order, so that of several
/// failures the lowest is known: it is thrown.
template <class Work>
void on_threads(std::size_t count, std::size_t threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t failed = count;
  std::exception_ptr failure;
  const auto loop = [&] {
    std::vector<std::byte> buffer;
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i, buffer);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed) failure = std::current_exception();
        failed = std::min(failed, i);
        next = count;
      }
    }
  };
  std::vector<std::jthread> others;
  for (std::size_t t = 1; t < std::min(threads, count); ++t) others.emplace_back(loop);
  loop();
  others.clear();  // waits
  if (failure) std::rethrow_exception(failure);
}

/// Reads stretches and checks them; bad(file, piece) comes from any thread.
template <class Bad>
void read_stretches(core::FileSystem& files, const std::string& directory, const Manifest& manifest,
                    std::span<const Stretch> stretches, const Bad& bad) {
  std::uint64_t total = 0;
  for (const Stretch& s : stretches) total += bytes_of(manifest, s);
  on_threads(stretches.size(), total < kWorthThreads ? 1 : kThreads,
             [&](std::size_t i, std::vector<std::byte>& buffer) {
               const Stretch& s = stretches[i];
               const FileRecord& file = manifest.files[s.file];
               buffer.resize(s.out.empty() ? std::max(buffer.size(), bytes_of(manifest, s)) : buffer.size());
               const auto bytes = s.out.empty() ? std::span(buffer).first(bytes_of(manifest, s)) : s.out;
               files.read(core::join_path(directory, file.name), s.piece * kPieceBytes, bytes);
               for (std::uint64_t at = 0; at < bytes.size(); at += kPieceBytes) {
                 const std::uint64_t piece = s.piece + at / kPieceBytes;
                 const auto content = bytes.subspan(at, std::min<std::uint64_t>(kPieceBytes, bytes.size() - at));
                 if (core::crc32c(content) != file.pieces[piece]) bad(s.file, piece);
               }
               if (!s.out.empty()) return;
               for (const Part& part : s.parts)
                 std::memcpy(part.out.data(), bytes.data() + part.in_piece, part.out.size());
             });
}

}  // namespace

void read_pieces(core::FileSystem& files, const std::string& directory, const Manifest& manifest,
                 std::span<const WantedBytes> wanted, const DamagedPiece& damaged) {
  const auto parts = parts_of(wanted);
  read_stretches(files, directory, manifest, stretches_of(manifest, parts), damaged);
}

std::vector<std::uint64_t> damaged_pieces(core::FileSystem& files, const std::string& directory,
                                          const Manifest& manifest, std::uint64_t file, Share share) {
  std::vector<Stretch> stretches;
  const std::uint64_t step = kStretchPieces * static_cast<std::uint64_t>(share.count);
  const std::uint64_t first = kStretchPieces * static_cast<std::uint64_t>(share.index);
  for (std::uint64_t piece = first; piece < manifest.files[file].pieces.size(); piece += step) {
    stretches.push_back({file, piece, kStretchPieces, {}, {}});
  }
  std::mutex mutex;
  std::vector<std::uint64_t> damaged;
  read_stretches(files, directory, manifest, stretches, [&](std::uint64_t, std::uint64_t piece) {
    const std::lock_guard lock(mutex);
    damaged.push_back(piece);
  });
  std::sort(damaged.begin(), damaged.end());
  return damaged;
}

}  // namespace pathline::checkpoint
