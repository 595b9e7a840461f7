// SPDX-License-Identifier: Apache-2.0
// What the files that call the HDF5 library share: the one mutex, errors with the library's reason, its types. Included
// by data/hdf5*.cc only.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/hdf5.h"

namespace pathline::data::hdf5 {

/// Held around every call into the library. Recursive: handles close themselves inside locked functions.
class Lock {
 public:
  Lock();

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

/// The innermost entry of the library's error stack, which names the cause.
std::string reason();

/// Throws what `checked` throws for a failed call.
[[noreturn]] void fail(const std::string& path, const std::string& what, core::ExitCode code);

/// The checked wrapper: `result` of a call that did `what` to the file at `path`.
template <class Result>
Result checked(Result result, const std::string& path, const std::string& what,
               core::ExitCode code = core::ExitCode::kInput) {
  if (result < 0) fail(path, what, code);
  return result;
}

/// The library's type of `element` in memory, an hid_t.
std::int64_t native(Element element);

/// Numbers, texts of fixed length, names for whole numbers.
bool plain(std::int64_t type);

/// For opening and making files.
Handle access_properties();

/// Texts of `each` bytes, padded with zeros or blanks.
std::vector<std::string> cut(const std::vector<char>& bytes, std::size_t each);

}  // namespace pathline::data::hdf5
