// SPDX-License-Identifier: Apache-2.0
#include "trainer/report_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace pathline::trainer {

void append_whole(const std::string& path, std::string_view bytes) {
  std::FILE* file = std::fopen(path.c_str(), "abe");
  PL_CHECK(file != nullptr, core::ExitCode::kEnvironment, "cannot append to ", path, ": ", core::errno_text(),
           " (the run's metrics go there). Look at the permissions and the free space of run.directory.");
  std::fseek(file, 0, SEEK_END);
  const long before = std::ftell(file);
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() && std::fflush(file) == 0;
  const int reason = written ? 0 : errno;
  const bool closed = std::fclose(file) == 0;  // network file systems say only here that they are full
  if (written && closed) return;
  const int told = written ? errno : reason;
  [[maybe_unused]] const int cut = before < 0 ? 0 : ::truncate(path.c_str(), before);  // the first error says more
  errno = told;
  throw core::Error(core::ExitCode::kEnvironment,
                    core::concat("cannot write ", path, ": ", core::errno_text(),
                                 " (the run's metrics go there; is the disk full?). Free space there."));
}

ReportFile::ReportFile(std::string path, std::string unit) : path_(std::move(path)), unit_(std::move(unit)) {}

bool ReportFile::append(std::string_view bytes) {
  try {
    append_whole(path_, bytes);
  } catch (const core::Error& error) {
    if (lost_++ == 0) {
      core::log_warning(error.what(), " Training goes on without; it is tried again at the next report.");
    }
    return false;
  }
  if (lost_ > 0) core::log_warning(path_, " can be written again; ", lost_, " ", unit_, " are lost.");
  lost_ = 0;
  return true;
}

}  // namespace pathline::trainer
