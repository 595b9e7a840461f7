// SPDX-License-Identifier: Apache-2.0
#include "cluster/shared_directory.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "cluster/agree.h"
#include "cluster/topology.h"
#include "core/error.h"
#include "core/text.h"

namespace pathline::cluster {
namespace {

constexpr std::string_view kMark = ".seen-by-all-";

/// A number that no earlier run has used, so that no cache knows the file's name yet.
std::uint64_t shared_nonce(Communicator& ranks) {
  std::uint64_t nonce = 0;
  if (ranks.rank() == 0) {
    std::random_device device;
    nonce = (std::uint64_t{device()} << 32) | device();
  }
  return word_of_root(ranks, nonce);
}

bool holds(core::FileSystem& files, const std::string& path, const std::string& content) {
  try {
    return files.exists(path) && core::read_text(files, path) == content;
  } catch (const core::Error&) {
    return false;  // removed or unreadable on this host: not seen
  }
}

bool appears(core::FileSystem& files, const std::string& path, const std::string& content,
             const LookingAgain& looking) {
  auto pause = looking.first_pause;
  for (int i = 0; i < looking.tries; ++i, pause *= 2) {
    if (i > 0) std::this_thread::sleep_for(pause);
    if (holds(files, path, content)) return true;
  }
  return false;
}

/// The hosts of the ranks that did not see the file, each once; equal on all ranks.
std::vector<std::string> blind_hosts(Communicator& ranks, bool seen) {
  const Topology topology = find_topology(ranks);
  std::vector<std::byte> all(ranks.size());
  const std::byte mine{seen};
  ranks.all_gather(std::span(&mine, 1), all);
  std::vector<std::string> blind;
  for (int r = 0; r < ranks.size(); ++r) {
    const std::string& host = topology.hosts[r];
    if (all[r] == std::byte{0} && std::find(blind.begin(), blind.end(), host) == blind.end()) {
      blind.push_back(host);
    }
  }
  return blind;
}

}  // namespace

void check_shared_directory(Communicator& ranks, core::FileSystem& files, const std::string& directory,
                            const LookingAgain& looking) {
  const std::string content = core::concat(shared_nonce(ranks));
  const std::string path = core::join_path(directory, core::concat(kMark, content));
  together(ranks, [&] {
    if (ranks.rank() != 0) return;
    files.make_directory(directory);
    core::replace_file(files, path, content);
  });
  const auto blind = blind_hosts(ranks, appears(files, path, content, looking));
  together(ranks, [&] {
    if (ranks.rank() == 0) files.remove(path);
  });
  if (blind.empty()) return;
  throw AgreedError(core::ExitCode::kEnvironment,
                    core::concat("The directory ", directory, " of rank 0 is not seen on host ", core::listed(blind),
                                 " (all ranks read and write checkpoints "
                                 "there). Choose a directory on storage that all hosts share."));
}

void remove_marks(core::FileSystem& files, const std::string& directory) {
  for (const auto& name : files.list(directory)) {
    if (name.starts_with(kMark)) files.remove(core::join_path(directory, name));
  }
}

}  // namespace pathline::cluster
