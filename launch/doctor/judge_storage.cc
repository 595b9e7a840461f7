// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/judge_storage.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "core/error.h"
#include "core/text.h"

namespace pathline::doctor {
namespace {

using core::concat;
using core::human_bytes;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

bool has_option(const Mount& mount, const std::string& option) {
  const auto options = core::split(mount.options, ',');
  return std::find(options.begin(), options.end(), option) != options.end();
}

bool in_memory(const Mount& mount) { return mount.type == "tmpfs" || mount.type == "ramfs"; }

bool contains(const std::string& path, const std::string& mount_point) {
  return mount_point == "/" || path == mount_point || path.rfind(mount_point + "/", 0) == 0;
}

std::string rate(std::uint64_t bytes, double seconds) {
  return concat(std::round(static_cast<double>(bytes) / seconds / 1e6), " MB/s");
}

}  // namespace

Mount mount_of(const std::string& mountinfo, const std::string& path) {
  Mount mount;
  std::string longest;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // 36 35 98:0 /root /mount/point rw,relatime shared:1 - ext4 /dev/sda rw,errors=continue
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string skipped, point, options, type, super;
    before >> skipped >> skipped >> skipped >> skipped >> point >> options;
    after >> type >> skipped >> super;
    if (!contains(path, point) || point.size() < longest.size()) continue;
    longest = point;  // of equal ones the later lies on top
    mount = {type, options + "," + super};
  }
  return mount;
}

Line judge_mount(const std::string& directory, const Mount& mount, const std::string& hdf5_locking,
                 const std::string& lock_error) {
  const std::string found = concat(directory, " on ", mount.type.empty() ? "an unknown file system" : mount.type);
  if (has_option(mount, "ro"))
    return broken("storage", concat(found, ", mounted read-only"), "choose another directory");
  if (!lock_error.empty() && (hdf5_locking == "TRUE" || hdf5_locking == "1")) {
    return broken("storage",
                  concat(found, ", which cannot lock files (", lock_error,
                         "), but HDF5_USE_FILE_LOCKING=", hdf5_locking, " demands it: no data set can be opened"),
                  "unset HDF5_USE_FILE_LOCKING: Pathline needs no locks");
  }
  if (mount.type.rfind("nfs", 0) == 0 && has_option(mount, "soft")) {
    return slow("storage", concat(found, ", mounted soft: a slow server becomes a write error"), "mount it hard");
  }
  if (mount.type == "lustre")
    return good("storage", concat(found, "; `lfs setstripe -c -1 DIR` spreads large files over its servers"));
  return good("storage", found);
}

Line judge_space(const std::string& directory, const Space& space) {
  std::string found = concat(human_bytes(space.free), " free in ", directory);
  found += space.checkpoint > 0 ? concat("; two checkpoints take ", human_bytes(2 * space.checkpoint))
                                : std::string("; a checkpoint's size is known with --preflight RECIPE");
  const char* advice =
      "free space there or raise the quota, choose another run.directory, or keep fewer (checkpoint.keep_last)";
  if (space.free_files < 100) {
    return broken("storage: space", concat(found, "; only ", space.free_files, " more files can be made"),
                  "remove small files there, or raise the quota of files");
  }
  if (space.free < std::max(2 * space.checkpoint, 64 * kMiB)) return broken("storage: space", found, advice);
  if (space.free < std::max(4 * space.checkpoint, 1024 * kMiB))
    return slow("storage: space", concat(found, ": soon full"), advice);
  return good("storage: space", found);
}

Line judge_sync(const Mount& mount, const Sync& sync) {
  const std::string took = concat("fsync of 4 KiB takes ", std::round(sync.seconds * 1e7) / 10, " us");
  const char* name = "storage: sync";
  if (!sync.implementer.empty() && sync.seconds < kImpossibleSync) {
    return broken(name,
                  concat(took, ": ", sync.implementer,
                         " takes the place of fsync and does nothing; what was \"saved\" is lost with the power"),
                  "start without it: unset LD_PRELOAD (eatmydata is for tests)");
  }
  if (in_memory(mount)) {
    return broken(name, concat(mount.type, " lies in memory: checkpoints are gone when the host restarts"),
                  "choose a run.directory on a disk or on shared storage");
  }
  if (has_option(mount, "volatile")) {
    return broken(name, concat("an overlay mounted volatile: it does not fsync"),
                  "mount a disk or shared storage into the container and use that");
  }
  if (sync.seconds < kImpossibleSync) {
    return broken(
        name,
        concat(took,
               ", faster than any device: this storage does not fsync; what was \"saved\" is lost with the power"),
        "choose a run.directory on storage that does, or switch it on there (NFS export `sync`, barriers, no "
        "eatmydata)");
  }
  if (has_option(mount, "nobarrier") || has_option(mount, "barrier=0")) {
    return slow(name, concat(took, "; mounted without barriers, which only a battery-backed cache makes safe"),
                "mount it with barriers");
  }
  if (sync.seconds > 0.1)
    return slow(name, concat(took, ", usual is under 0.1 s"),
                "the storage or its network is overloaded: ask its administrator");
  return good(name, took);
}

Line judge_speed(const Speed& speed) {
  const double write_rate = static_cast<double>(speed.bytes) / speed.write_seconds;
  std::string found = concat("writes ", rate(speed.bytes, speed.write_seconds), " with fsync, reads ",
                             rate(speed.bytes, speed.read_seconds), " (", human_bytes(speed.bytes), ")");
  if (speed.checkpoint > 0) {
    found += concat("; this host's part of a checkpoint takes about ",
                    core::human_seconds(static_cast<double>(speed.checkpoint) / write_rate));
  }
  if (write_rate < 50e6) {
    return slow("storage: rate", concat(found, "; at least 50 MB/s is usual"),
                "faster storage for run.directory, a larger checkpoint.every_minutes; on Lustre more stripes");
  }
  return good("storage: rate", found);
}

}  // namespace pathline::doctor
