// SPDX-License-Identifier: Apache-2.0
// The seam to storage: everything durable goes through it, so that tests can fail it, stop it or drop what was not
// synced. Paths are plain strings. Every call throws core::Error (ExitCode::kEnvironment) naming path and reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pathline::core {

/// A file being written from its start. Not synced unless sync() returned.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void append(std::span<const std::byte> bytes) = 0;
  virtual void sync() = 0;
  virtual void close() = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Creates or truncates.
  virtual std::unique_ptr<WritableFile> create(const std::string& path) = 0;
  /// The same for a file of `bytes` bytes (the real number may differ) that is written once: appended to, then synced,
  /// then closed. Storage that can takes such files at its full speed; a full disk may be noticed here already. What an
  /// append() wrote may fail later: the next call throws it. Storage with nothing to gain need not override it.
  virtual std::unique_ptr<WritableFile> create_large(const std::string& path, std::uint64_t bytes) {
    static_cast<void>(bytes);
    return create(path);
  }
  /// Fills `out` from `offset`; a file that ends before is an error. Several threads at a time.
  virtual void read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) = 0;
  virtual std::uint64_t size(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual bool is_directory(const std::string& path) = 0;
  /// When its content last changed, in nanoseconds since 1970. Storage that does not know need not override it.
  virtual std::int64_t modified(const std::string&) { return 0; }
  /// Storage without symbolic links need not override it.
  virtual bool is_symbolic_link(const std::string&) { return false; }
  /// Names (not paths) in a directory, sorted.
  virtual std::vector<std::string> list(const std::string& directory) = 0;

  /// With all missing parents.
  virtual void make_directory(const std::string& path) = 0;
  virtual void rename(const std::string& from, const std::string& to) = 0;
  /// Hard link; false if `to` exists.
  virtual bool link(const std::string& from, const std::string& to) = 0;
  /// rename() that replaces nothing; false if `to` exists. Of several at once one succeeds.
  virtual bool rename_new(const std::string& from, const std::string& to) {
    if (!link(from, to)) return false;
    remove(from);
    return true;
  }
  /// A file or an empty directory; missing is fine.
  virtual void remove(const std::string& path) = 0;
  virtual void sync_directory(const std::string& path) = 0;
  virtual std::uint64_t free_bytes(const std::string& path) = 0;
};

class PosixFileSystem final : public FileSystem {
 public:
  std::unique_ptr<WritableFile> create(const std::string& path) override;
  /// Past the page cache, by a thread of the file's own (direct_file.h).
  std::unique_ptr<WritableFile> create_large(const std::string& path, std::uint64_t bytes) override;
  void read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) override;
  std::uint64_t size(const std::string& path) override;
  bool exists(const std::string& path) override;
  bool is_directory(const std::string& path) override;
  std::int64_t modified(const std::string& path) override;
  bool is_symbolic_link(const std::string& path) override;
  std::vector<std::string> list(const std::string& directory) override;
  void make_directory(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  bool link(const std::string& from, const std::string& to) override;
  /// Also where the storage has no hard links.
  bool rename_new(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  void sync_directory(const std::string& path) override;
  std::uint64_t free_bytes(const std::string& path) override;
};

/// Whole small files.
std::string read_text(FileSystem& files, const std::string& path);
/// Temporary name, sync, rename, sync of the directory: readers see the old or the new content, also after power loss.
/// After an error nothing of the new one is left, unless removing it fails, too.
void replace_file(FileSystem& files, const std::string& path, std::string_view content);
void replace_file(FileSystem& files, const std::string& path, const std::function<void(WritableFile&)>& write);
/// make_directory() that outlives power failures: the parent of every directory that it makes is synced.
void make_durable_directory(FileSystem& files, const std::string& path);
/// A directory and all below it; missing is fine. Symbolic links are removed, not followed.
void remove_tree(FileSystem& files, const std::string& path);

/// The directory part ("." if none) and the name part of a path; two parts joined by one '/'.
std::string parent_of(const std::string& path);
std::string name_of(const std::string& path);
/// "/a/b" of "/a/b//".
std::string without_slash(std::string path);
std::string join_path(const std::string& directory, const std::string& name);

}  // namespace pathline::core
