// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/access.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"

namespace pathline::pool {
namespace {

using core::ExitCode;

std::string new_token() {
  std::array<unsigned char, 24> bytes;
  PL_CHECK(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), ExitCode::kEnvironment,
           "the system gives no random bytes: ", core::errno_text(), " (the pool's token needs them).");
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

/// A new token, on the disk, in a file beside `path` that only its owner may read. Returns the file's path. The name is
/// of this process alone, so that of several at once none writes into a file that another has already renamed.
std::string write_new_token(const std::string& path) {
  std::string temporary = path + ".XXXXXX";
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  PL_CHECK(file >= 0, ExitCode::kEnvironment, "cannot make the token ", path, ": ", core::errno_text(),
           " (nobody is answered without it). Check that its directory is there and can be written.");
  const std::string line = new_token() + "\n";
  const bool written =
      ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(file) == 0;
  const bool closed = ::close(file) == 0;
  if (!written || !closed) ::unlink(temporary.c_str());
  PL_CHECK(written && closed, ExitCode::kEnvironment, "cannot write the token ", path, ". Look at the free space.");
  return temporary;
}

}  // namespace

bool same_secret(std::string_view a, std::string_view b) {
  // Compared over the length of `a`, which the caller sent and knows.
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? '\1' : b[i % b.size()]);
  }
  return difference == 0;
}

std::string read_token(const std::string& path) {
  struct stat about = {};
  const bool found = ::stat(path.c_str(), &about) == 0;
  PL_CHECK(found, errno == ENOENT ? ExitCode::kUsage : ExitCode::kEnvironment, "cannot read the token ", path, ": ",
           core::errno_text(),
           " (nobody is answered without it). Start `pathline pool serve`, which makes it, or give --token-file.");
  PL_CHECK((about.st_mode & 077) == 0, ExitCode::kUsage, "the token ", path,
           " may be read by others than its owner (whoever has it may use the pool). chmod 600 it.");
  core::PosixFileSystem files;
  std::string token = core::read_text(files, path);
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back()))) token.pop_back();
  const bool plain = token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") ==
                     std::string::npos;
  PL_CHECK(token.size() >= 16 && plain, ExitCode::kUsage, "the token in ", path,
           " is shorter than 16 letters and digits. Remove the file; `pathline pool serve` makes a good one.");
  return token;
}

std::string read_or_make_token(const std::string& path) {
  core::PosixFileSystem files;
  if (files.exists(path)) return read_token(path);
  const std::string temporary = write_new_token(path);
  try {
    // Never over a token that another process made meanwhile: its workers have it already.
    if (!files.rename_new(temporary, path)) files.remove(temporary);
    files.sync_directory(core::parent_of(path));
  } catch (const core::Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  return read_token(path);
}

Address parse_address(const std::string& text) {
  std::string rest = text.starts_with("http://") ? text.substr(7) : text;
  while (rest.ends_with('/')) rest.pop_back();
  const std::size_t colon = rest.rfind(':');
  Address address;
  address.host = colon == std::string::npos ? "127.0.0.1" : rest.substr(0, colon);
  address.port = colon == std::string::npos ? rest : rest.substr(colon + 1);
  const bool number = !address.port.empty() && address.port.size() <= 5 &&
                      address.port.find_first_not_of("0123456789") == std::string::npos &&
                      core::parse_integer(address.port, "port") <= 65535;
  PL_CHECK(number && !address.host.empty(), ExitCode::kUsage, "\"", text,
           "\" is no address. Write HOST:PORT or a PORT of this machine.");
  return address;
}

}  // namespace pathline::pool
