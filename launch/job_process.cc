// SPDX-License-Identifier: Apache-2.0
#include "launch/job_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "core/error.h"

namespace pathline::launch {
namespace {

/// A field of /proc/PID/status; empty if the process is gone.
std::string status_field(const std::string& process, const std::string& name) {
  std::ifstream status("/proc/" + process + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  }
  return "";
}

std::uint64_t signal_set(const std::string& process, const std::string& name) {
  return std::strtoull(status_field(process, name).c_str(), nullptr, 16);
}

std::string program_of(const std::string& process) {
  std::error_code gone;
  return std::filesystem::read_symlink("/proc/" + process + "/exe", gone).string();
}

/// It catches USR1 and USR2, or holds them back until it does. A child that has not become its program yet still shows
/// the launcher's handlers.
bool survives_signals(const std::string& process, const std::string& launcher) {
  constexpr std::uint64_t kBoth = std::uint64_t{1} << (SIGUSR1 - 1) | std::uint64_t{1} << (SIGUSR2 - 1);
  const std::uint64_t safe = signal_set(process, "SigCgt") | signal_set(process, "SigBlk");
  const std::string program = program_of(process);
  return (safe & kBoth) == kBoth && !program.empty() && program != launcher;
}

[[noreturn]] void become(const std::vector<std::string>& command, const std::vector<std::string>& variables,
                         pid_t supervisor) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGUSR2);
  if (::getppid() != supervisor) ::_exit(128 + SIGUSR2);  // it was killed before the line above
  if (const int null = ::open("/dev/null", O_RDONLY); null >= 0)
    ::dup2(null, STDIN_FILENO);  // the terminal is not ours
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const auto& variable : variables) ::putenv(const_cast<char*>(variable.c_str()));
  std::vector<char*> argv;
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  std::fprintf(stderr, "error: cannot start %s: %s (it starts the ranks). Install Open MPI, or put it into PATH.\n",
               argv[0], core::errno_text().c_str());
  ::_exit(static_cast<int>(core::ExitCode::kEnvironment));
}

}  // namespace

JobProcess::JobProcess(const std::vector<std::string>& command, const std::vector<std::string>& variables, int ranks)
    : ranks_(ranks) {
  const pid_t supervisor = ::getpid();
  pid_ = ::fork();
  PL_CHECK(pid_ >= 0, core::ExitCode::kEnvironment, "cannot make a process for ", command[0], ": ", core::errno_text(),
           " (the run needs one). Look at `ulimit -u` and at the memory.");
  if (pid_ == 0) become(command, variables, supervisor);
}

bool JobProcess::ready() const {
  const std::string launcher = std::to_string(pid_);
  const std::string program = program_of(launcher);
  int ready = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string process = entry.path().filename().string();
    if (std::isdigit(static_cast<unsigned char>(process[0])) == 0 || status_field(process, "PPid") != launcher)
      continue;
    if (survives_signals(process, program)) ++ready;
  }
  return ready >= ranks_;
}

void JobProcess::send(int signal) const {
  if (!code_) ::kill(pid_, signal);
}

std::optional<int> JobProcess::ended() {
  int status = 0;
  if (!code_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return code_;
}

}  // namespace pathline::launch
