// SPDX-License-Identifier: Apache-2.0
// A small file that shows, while its time moves, that a process lives and where it is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "core/file_system.h"

namespace pathline::cluster {

/// Replaces `path` by content() now, every `every` and when it ends, on a thread of its own: storage that hangs holds
/// up nobody else. Not synced: after a power failure the file may be old. Storage that fails is reported once.
class Heartbeat {
 public:
  /// `files` must outlive it; `content` is called on the thread.
  Heartbeat(core::FileSystem& files, std::string path, std::function<std::string()> content,
            std::chrono::milliseconds every);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void write();

  core::FileSystem& files_;
  std::string path_;
  std::function<std::string()> content_;
  bool reported_ = false;

  std::mutex mutex_;
  std::condition_variable ends_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace pathline::cluster
