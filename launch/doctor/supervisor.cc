// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/machine.h"
#include "core/text.h"
#include "launch/doctor/examination.h"
#include "launch/doctor/judge_libraries.h"

namespace pathline::doctor {
namespace {

constexpr std::size_t kWordsKept = 4000;
constexpr const char* kInOrder = "with exit code 0";
constexpr double kLongestFarewell = 5;  // seconds, for MPI_Finalize

struct Process {
  pid_t pid = -1;
  int out = -1, err = -1;  // our ends of its stdout and stderr
};

Process start(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::array<int, 2> out{}, err{};
  PL_CHECK(::pipe2(out.data(), O_CLOEXEC) == 0 && ::pipe2(err.data(), O_CLOEXEC) == 0, core::ExitCode::kEnvironment,
           "cannot make a pipe: ", core::errno_text(), " (for the probing process). Raise `ulimit -n`.");
  const pid_t pid = ::fork();
  PL_CHECK(pid >= 0, core::ExitCode::kEnvironment, "cannot start a process: ", core::errno_text(),
           " (the probes run in one of their own). Raise `ulimit -u`.");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], ::strerror(errno));
    ::_exit(127);
  }
  ::close(out[1]);
  ::close(err[1]);
  return {pid, out[0], err[0]};
}

class Listener {
 public:
  explicit Listener(int rank) : rank_(rank) {}

  void hear(std::string_view bytes) {
    text_ += bytes;
    for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
      understand(text_.substr(0, end));
      text_.erase(0, end + 1);
    }
  }
  void keep_words(std::string_view bytes) {
    words_ += bytes;
    if (words_.size() > kWordsKept) words_.erase(0, words_.size() - kWordsKept);
  }
  void tell(Line line) {
    line.rank = rank_;
    line.host = core::host_name();
    told_.lines.push_back(std::move(line));
  }

  const Told& told() const { return told_; }
  const std::string& words() const { return words_; }
  const std::string& looking_at() const { return looking_at_; }

 private:
  void understand(const std::string& line) {
    if (const auto begins = after(line, kBegins)) {
      looking_at_ = *begins;
    } else if (const auto json = after(line, kLine)) {
      told_.lines.push_back(line_of(*json));
    } else if (const auto ended = after(line, kEnded)) {
      told_.ended = true;
      told_.delivered = *ended == kDelivered;
    }  // anything else is some library's chatter
  }
  static std::optional<std::string> after(const std::string& line, std::string_view mark) {
    return line.rfind(mark, 0) == 0 ? std::optional(line.substr(mark.size())) : std::nullopt;
  }

  int rank_;
  Told told_;
  std::string text_, words_, looking_at_;
};

/// False once both pipes are closed.
bool listen(Process& process, Listener& listener, int milliseconds) {
  std::array<pollfd, 2> ends{{{process.out, POLLIN, 0}, {process.err, POLLIN, 0}}};
  if (::poll(ends.data(), ends.size(), milliseconds) <= 0) return true;
  std::array<char, 4096> bytes{};
  const auto drain = [&](int& descriptor, const pollfd& end, const auto& use) {
    if (end.revents == 0) return;
    const ssize_t count = ::read(descriptor, bytes.data(), bytes.size());
    if (count > 0) return use(std::string_view(bytes.data(), static_cast<std::size_t>(count)));
    ::close(descriptor);
    descriptor = -1;  // poll() passes over it
  };
  drain(process.out, ends[0], [&](std::string_view heard) { listener.hear(heard); });
  drain(process.err, ends[1], [&](std::string_view heard) {
    listener.keep_words(heard);
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, heard.data(), heard.size());
  });
  return process.out >= 0 || process.err >= 0;
}

/// "with exit code 1", "by signal 11 (Segmentation fault)"; empty if it does not end within a second.
std::string end_of(const Process& process) {
  int status = 0;
  pid_t waited = 0;
  for (int i = 0; i < 100 && waited == 0; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    waited = ::waitpid(process.pid, &status, WNOHANG);
  }
  if (waited != process.pid) return "";
  if (WIFSIGNALED(status))
    return core::concat("by signal ", WTERMSIG(status), " (", ::strsignal(WTERMSIG(status)), ")");
  return core::concat("with exit code ", WEXITSTATUS(status));
}

}  // namespace

Told supervise(const std::vector<std::string>& argv, double seconds, int rank) {
  Process process = start(argv);
  Listener listener(rank);
  double end = core::monotonic_seconds() + seconds;
  bool open = true;
  while (open && core::monotonic_seconds() < end) {
    const bool had_ended = listener.told().ended;
    open = listen(process, listener, 100);
    if (listener.told().ended && !had_ended) end = std::min(end, core::monotonic_seconds() + kLongestFarewell);
  }
  const bool over = open;
  if (over) ::kill(process.pid, SIGKILL);
  const std::string how = end_of(process);
  if (listener.told().ended) {
    Told told = listener.told();
    told.in_order = how == kInOrder;
    return told;
  }
  if (over) {
    listener.tell(broken(listener.looking_at(),
                         core::concat("has not come to an end within ", core::human_seconds(seconds)),
                         "what it looks at hangs; --deadline gives it more time"));
  } else if (listener.looking_at().empty()) {
    listener.tell(judge_start(listener.words(), how));
  } else {
    Line line = judge_start(listener.words(), core::concat(how, " while it looked at \"", listener.looking_at(), "\""));
    line.name = listener.looking_at();
    listener.tell(line);
  }
  return listener.told();
}

}  // namespace pathline::doctor
