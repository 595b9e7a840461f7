// SPDX-License-Identifier: Apache-2.0
#include "cluster/heartbeat.h"

#include <span>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace pathline::cluster {

Heartbeat::Heartbeat(core::FileSystem& files, std::string path, std::function<std::string()> content,
                     std::chrono::milliseconds every)
    : files_(files), path_(std::move(path)), content_(std::move(content)) {
  thread_ = std::thread([this, every] {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      lock.unlock();
      write();
      lock.lock();
      ends_.wait_for(lock, every, [this] { return ended_; });
    }
    write();
  });
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ends_.notify_all();
  thread_.join();
}

void Heartbeat::write() try {
  const std::string content = content_(), temporary = path_ + ".tmp";
  const auto file = files_.create(temporary);
  file->append(std::as_bytes(std::span(content)));
  file->close();
  files_.rename(temporary, path_);
} catch (const core::Error& error) {
  if (!std::exchange(reported_, true)) core::log_warning("no heartbeat: ", error.what());
}

}  // namespace pathline::cluster
