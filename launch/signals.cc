// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "core/error.h"

namespace pathline::launch {
namespace {

/// A launcher, the batch system and the terminal may all deliver one and the same request.
constexpr std::int64_t kOneRequestNanoseconds = 1'000'000'000;

std::atomic<int> stops{0};
std::atomic<std::int64_t> last_stop{0};
std::atomic<bool> checkpoint{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);

std::int64_t now() {
  timespec time = {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

/// Never returns. Only what a handler may call.
void end_at_once() {
  constexpr char kText[] =
      "error: asked to stop for the third time: this rank ends at once, without a new checkpoint\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText, sizeof(kText) - 1);
  ::_exit(static_cast<int>(core::ExitCode::kRankLost));
}

/// Two threads may be in here at once: the one whose time is taken counts.
void on_stop(int signal) {
  std::int64_t last = last_stop.load();
  const std::int64_t time = now();
  if (last != 0 && time - last < kOneRequestNanoseconds) return;
  if (!last_stop.compare_exchange_strong(last, time)) return;
  if (stops.fetch_add(1) >= 2 && signal == SIGINT) end_at_once();
}

void on_checkpoint(int) { checkpoint.store(true); }

sigset_t job_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) sigaddset(&set, signal);
  return set;
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void block_job_signals() {
  const sigset_t set = job_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

void unblock_job_signals() {
  const sigset_t set = job_signals();
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

void install_job_signal_handlers() {
  handle(SIGUSR1, on_checkpoint);
  for (const int signal : {SIGUSR2, SIGTERM, SIGINT}) handle(signal, on_stop);
  unblock_job_signals();
}

SignalRequests take_signal_requests() {
  SignalRequests requests;
  requests.stop = stops.load() > 0;
  requests.checkpoint = checkpoint.exchange(false);
  return requests;
}

bool asked_to_hurry() { return stops.load() > 1; }

}  // namespace pathline::launch
