// SPDX-License-Identifier: Apache-2.0
#include "core/posix_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <system_error>
#include <utility>

#include "core/error.h"

namespace pathline::core::posix {
namespace {

const char* advice_for(int reason) {
  switch (reason) {
    case ENOSPC:
    case EDQUOT:
      return " (the disk or your quota is full). Free space there, or choose another directory.";
    case EFBIG:
      return " (larger than a file may be there). Raise the limit with `ulimit -f`, or choose another directory.";
    case EROFS:
      return " (the file system is mounted read-only). Choose another directory.";
    case EACCES:
    case EPERM:
      return " (permission is missing). Check owner and mode of the path and its parents, or choose another one.";
    case ESTALE:
      return " (the network file system lost the file, often because its server restarted). Start the command again.";
    case ENOENT:
      return ". Check the path for a typing error, and that its file system is mounted.";
    case EIO:
      return " (the storage reports a fault). Look at the kernel's log and check the disk or the file server.";
    case EMFILE:
    case ENFILE:
      return " (too many open files). Raise the limit with `ulimit -n`.";
    default:
      return ". Check that the path is what you mean and that its storage is in order.";
  }
}

}  // namespace

void fail(int reason, const std::string& what, const std::string& path) {
  throw Error(ExitCode::kEnvironment,
              concat(what, " ", path, ": ", std::generic_category().message(reason), advice_for(reason)));
}

Descriptor::Descriptor(const std::string& path, int flags, const char* what)
    : value_(retried([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); })) {
  if (value_ < 0) fail(errno, what, path);
}

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

void Descriptor::sync(const std::string& path) const {
  if (retried([&] { return ::fsync(value_); }) != 0) fail(errno, "cannot sync", path);
}

void Descriptor::close(const std::string& path) {
  const int descriptor = std::exchange(value_, -1);
  // After EINTR Linux has closed the descriptor; closing again could close somebody else's.
  if (descriptor >= 0 && ::close(descriptor) != 0 && errno != EINTR) fail(errno, "cannot close", path);
}

}  // namespace pathline::core::posix
