// SPDX-License-Identifier: Apache-2.0
// POSIX: short reads and writes are continued; see posix_calls.h for errors.
#include "core/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "core/direct_file.h"
#include "core/error.h"
#include "core/posix_calls.h"

namespace pathline::core {
namespace {

using posix::Descriptor;
using posix::fail;
using posix::retried;

class PosixWritableFile final : public WritableFile {
 public:
  explicit PosixWritableFile(const std::string& path)
      : path_(path), file_(path, O_WRONLY | O_CREAT | O_TRUNC, "cannot create") {}

  void append(std::span<const std::byte> bytes) override {
    PL_ASSERT(file_.value() >= 0);
    while (!bytes.empty()) {
      const ssize_t written = retried([&] { return ::write(file_.value(), bytes.data(), bytes.size()); });
      if (written < 0) fail(errno, "cannot write", path_);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  void sync() override {
    PL_ASSERT(file_.value() >= 0);
    file_.sync(path_);
  }

  void close() override { file_.close(path_); }

 private:
  std::string path_;
  Descriptor file_;
};

bool file_status(const std::string& path, struct stat& status) {
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) fail(errno, "cannot look at", path);
  return false;
}

}  // namespace

std::unique_ptr<WritableFile> PosixFileSystem::create(const std::string& path) {
  return std::make_unique<PosixWritableFile>(path);
}

std::unique_ptr<WritableFile> PosixFileSystem::create_large(const std::string& path, std::uint64_t bytes) {
  return std::make_unique<DirectFile>(path, bytes);
}

void PosixFileSystem::read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) {
  const Descriptor file(path, O_RDONLY, "cannot open");
  while (!out.empty()) {
    const ssize_t count =
        retried([&] { return ::pread(file.value(), out.data(), out.size(), static_cast<off_t>(offset)); });
    if (count < 0) fail(errno, "cannot read", path);
    PL_CHECK(count > 0, ExitCode::kEnvironment, "cannot read ", path, ": it ends at byte ", offset, ", ", out.size(),
             " bytes too early (a copy or a download was cut short). Restore the file from its source.");
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

std::uint64_t PosixFileSystem::size(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) fail(errno, "cannot look at", path);
  return static_cast<std::uint64_t>(status.st_size);
}

bool PosixFileSystem::exists(const std::string& path) {
  struct stat status;
  return file_status(path, status);
}

bool PosixFileSystem::is_directory(const std::string& path) {
  struct stat status;
  return file_status(path, status) && S_ISDIR(status.st_mode);
}

std::int64_t PosixFileSystem::modified(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) fail(errno, "cannot look at", path);
  return std::int64_t{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec;
}

bool PosixFileSystem::is_symbolic_link(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

std::vector<std::string> PosixFileSystem::list(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) fail(errno, "cannot list", directory);
  std::vector<std::string> names;
  for (errno = 0; const dirent* entry = ::readdir(stream.get()); errno = 0) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) fail(errno, "cannot list", directory);
  std::sort(names.begin(), names.end());
  return names;
}

void PosixFileSystem::make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return;
  const int reason = errno;
  if (reason == ENOENT && parent_of(path) != path) {
    make_directory(parent_of(path));
    if (::mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) return;
    fail(errno, "cannot make directory", path);
  }
  if (is_directory(path)) return;
  fail(reason, "cannot make directory", path);
}

void PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(errno, concat("cannot rename ", from, " to"), to);
}

bool PosixFileSystem::link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return true;
  if (errno != EEXIST) fail(errno, concat("cannot link ", from, " to"), to);
  return false;
}

bool PosixFileSystem::rename_new(const std::string& from, const std::string& to) {
  // One call where the file system knows it. NFS does not, but has hard links; FAT has neither the call nor links.
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EINVAL && errno != ENOSYS) fail(errno, concat("cannot rename ", from, " to"), to);
  return FileSystem::rename_new(from, to);
}

void PosixFileSystem::remove(const std::string& path) {
  if (::remove(path.c_str()) != 0 && errno != ENOENT) fail(errno, "cannot remove", path);
}

void PosixFileSystem::sync_directory(const std::string& path) {
  const Descriptor directory(path, O_RDONLY | O_DIRECTORY, "cannot open directory");
  // EINVAL: this file system has nothing to sync for a directory.
  if (retried([&] { return ::fsync(directory.value()); }) != 0 && errno != EINVAL) {
    fail(errno, "cannot sync directory", path);
  }
}

std::uint64_t PosixFileSystem::free_bytes(const std::string& path) {
  struct statvfs status;
  if (retried([&] { return ::statvfs(path.c_str(), &status); }) != 0) fail(errno, "cannot ask for free space at", path);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::string read_text(FileSystem& files, const std::string& path) {
  std::string text(files.size(path), '\0');
  files.read(path, 0, std::as_writable_bytes(std::span(text)));
  return text;
}

void replace_file(FileSystem& files, const std::string& path, std::string_view content) {
  replace_file(files, path, [content](WritableFile& file) { file.append(std::as_bytes(std::span(content))); });
}

void replace_file(FileSystem& files, const std::string& path, const std::function<void(WritableFile&)>& write) {
  const std::string temporary = path + ".tmp";
  try {
    const auto file = files.create(temporary);
    write(*file);
    file->sync();
    file->close();
    files.rename(temporary, path);
  } catch (...) {
    try {
      files.remove(temporary);
    } catch (const Error&) {  // the first error says more
    }
    throw;
  }
  files.sync_directory(parent_of(path));
}

void make_durable_directory(FileSystem& files, const std::string& path) {
  if (files.is_directory(path)) return;
  make_durable_directory(files, parent_of(path));
  files.make_directory(path);
  files.sync_directory(parent_of(path));
}

void remove_tree(FileSystem& files, const std::string& path) {
  if (files.is_directory(path) && !files.is_symbolic_link(path)) {
    for (const std::string& name : files.list(path)) remove_tree(files, join_path(path, name));
  }
  files.remove(path);
}

std::string parent_of(const std::string& path) {
  const auto last = path.find_last_not_of('/');
  if (last == std::string::npos) return path.empty() ? "." : "/";
  const auto slash = path.find_last_of('/', last);
  if (slash == std::string::npos) return ".";
  const auto end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

std::string name_of(const std::string& path) {
  const auto last = path.find_last_not_of('/');
  if (last == std::string::npos) return "";
  const auto slash = path.find_last_of('/', last);
  const auto begin = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(begin, last + 1 - begin);
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string join_path(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.back() == '/' ? directory + name : directory + "/" + name;
}

}  // namespace pathline::core
