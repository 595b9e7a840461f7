// SPDX-License-Identifier: Apache-2.0
#include "launch/signals.h"

#include <signal.h>

#include <atomic>

namespace pathline::launch {
namespace {

std::atomic<bool> stop{false};
std::atomic<bool> checkpoint{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_stop(int) { stop.store(true); }
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
  requests.stop = stop.exchange(false);
  requests.checkpoint = checkpoint.exchange(false);
  return requests;
}

}  // namespace pathline::launch
