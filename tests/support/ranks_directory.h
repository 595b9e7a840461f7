// SPDX-License-Identifier: Apache-2.0
// The shared part of ranks_threads.cc and ranks_mpi.cc: a directory that rank 0 makes and removes at the end.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "tests/support/ranks.h"

namespace pathline::tests {

class DirectoriesToRemove {
 public:
  ~DirectoriesToRemove() {
    std::error_code ignored;
    for (const std::string& path : paths_) std::filesystem::remove_all(path, ignored);
  }
  void add(const std::string& path) {
    const std::lock_guard lock(mutex_);
    paths_.push_back(path);
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> paths_;
};

inline std::string make_shared_directory(cluster::Communicator& ranks, const std::string& name,
                                         DirectoriesToRemove& remove_later) {
  std::array<char, 512> text{};
  if (ranks.rank() == 0) {
    const auto pattern = std::filesystem::temp_directory_path() / ("pathline-" + name + "-XXXXXX");
    std::string path = pattern.string();
    if (::mkdtemp(path.data()) == nullptr || path.size() >= text.size()) ranks.abort(1);
    remove_later.add(path);
    std::copy(path.begin(), path.end(), text.begin());
  }
  ranks.broadcast(std::as_writable_bytes(std::span(text)), 0);
  return text.data();
}

}  // namespace pathline::tests
