// SPDX-License-Identifier: Apache-2.0
#include "data/temporary_name.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>

#include "core/error.h"
#include "core/file_system.h"
#include "core/machine.h"

namespace pathline::data {
namespace {

std::string beginning(const std::string& path) { return core::concat(path, ".tmp-", core::host_name(), "-"); }

/// Whether `rest` is "PROCESS-NUMBER" of a process that does not run.
bool is_abandoned(const std::string& rest) {
  pid_t process = 0;
  const auto [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), process);
  if (problem != std::errc() || process <= 0 || end == rest.data() + rest.size() || *end != '-') return false;
  return ::kill(process, 0) != 0 && errno == ESRCH;
}

}  // namespace

std::string temporary_name(const std::string& path) {
  static std::atomic<int> number = 0;
  return core::concat(beginning(path), ::getpid(), "-", number++);
}

void remove_abandoned(const std::string& path) {
  core::PosixFileSystem files;
  const std::string directory = core::parent_of(path), prefix = core::name_of(beginning(path));
  if (!files.is_directory(directory)) return;
  for (const std::string& name : files.list(directory)) {
    if (name.starts_with(prefix) && is_abandoned(name.substr(prefix.size()))) {
      files.remove(core::join_path(directory, name));
    }
  }
}

}  // namespace pathline::data
