// SPDX-License-Identifier: Apache-2.0
// What the doctor thinks of the storage of a run. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "launch/doctor/line.h"

namespace pathline::doctor {

/// The mount that a directory lies on.
struct Mount {
  std::string type;     // "ext4"
  std::string options;  // "rw,relatime,soft" of mount and file system
};
/// The mount with the longest path that `path` begins with, in the text of /proc/self/mountinfo.
Mount mount_of(const std::string& mountinfo, const std::string& path);

/// `hdf5_locking`: the value of HDF5_USE_FILE_LOCKING, or ""; `lock_error`: why flock() failed there, or "".
Line judge_mount(const std::string& directory, const Mount& mount, const std::string& hdf5_locking,
                 const std::string& lock_error);

struct Space {
  std::uint64_t free = 0;        // bytes
  std::uint64_t free_files = 0;  // that can still be made; kAnyNumber where the file system does not count
  std::uint64_t checkpoint = 0;  // bytes of one; 0: not known
};
inline constexpr std::uint64_t kAnyNumber = ~std::uint64_t{0};
Line judge_space(const std::string& directory, const Space& space);

struct Sync {
  double seconds = 0;       // median of fsync after a write of 4 KiB
  std::string implementer;  // the file that the function fsync comes from, where it is not the C library
};
/// Below kImpossibleSync no storage has answered: a system call that reaches a device takes longer.
inline constexpr double kImpossibleSync = 5e-6;
Line judge_sync(const Mount& mount, const Sync& sync);

struct Speed {
  std::uint64_t bytes = 0;
  double write_seconds = 0;  // with sync
  double read_seconds = 0;
  std::uint64_t checkpoint = 0;  // bytes that this host writes of one; 0: not known
};
Line judge_speed(const Speed& speed);

}  // namespace pathline::doctor
