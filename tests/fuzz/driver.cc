// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer, which g++ does not have:
//   fuzz_png [--runs N] [--seconds S] [--seed K] [--first I]    N mutations of the target's own inputs, or S seconds
//   fuzz_png FILE...                                            these inputs
//   fuzz_png --corpus DIRECTORY                                 writes its own inputs, for other fuzzers
// An input over which the target ends, hangs or throws what it must not is left in fuzz-failure-RUN.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutator.h"

extern "C" {
// Present in sanitized builds only.
void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));
const char* __ubsan_default_options();
const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }
const char* __asan_default_options();
// malloc may say no, as it does to libraries that then report it; `new`, which is ours, may not be asked for so much.
const char* __asan_default_options() { return "max_allocation_size_mb=3000:allocator_may_return_null=1"; }
// HDF5 1.10.8 loses about 400 bytes over some damaged headers.
const char* __lsan_default_suppressions();
const char* __lsan_default_suppressions() { return "leak:libhdf5\n"; }
}

namespace pathline::fuzz {

void __attribute__((weak)) mend(Bytes&) {}  // of targets that have none

namespace {

constexpr unsigned kSecondsARun = 60;
constexpr rlim_t kMemory = rlim_t{4} << 30;

const Bytes* current = nullptr;  // what the target is looking at
char failure_name[64] = "fuzz-failure";

/// Only calls that are allowed in a signal handler.
void keep_input() {
  if (current == nullptr) return;
  const int file = ::open(failure_name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) return;
  const ssize_t written = ::write(file, current->data(), current->size());
  const char text[] = "\nfuzz: the input is in ";
  if (written >= 0 && ::write(2, text, sizeof text - 1) > 0 &&
      ::write(2, failure_name, std::strlen(failure_name)) > 0) {
    (void)!::write(2, "\n", 1);
  }
  ::close(file);
  current = nullptr;
}

void end_by(int signal) {
  keep_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void prepare() {
  std::signal(SIGALRM, end_by);  // a hang
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(keep_input);
    std::signal(SIGABRT, end_by);
    return;
  }
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, end_by);
  const rlimit most{kMemory, kMemory};
  ::setrlimit(RLIMIT_AS, &most);
}

void run(const Bytes& input, std::uint64_t number) {
  std::snprintf(failure_name, sizeof failure_name, "fuzz-failure-%llu", static_cast<unsigned long long>(number));
  current = &input;
  ::alarm(kSecondsARun);
  try {
    LLVMFuzzerTestOneInput(input.data(), input.size());
  } catch (const std::exception& failure) {
    std::cerr << "fuzz: the target threw: " << failure.what() << "\n";
    std::abort();
  }
  ::alarm(0);
  current = nullptr;
}

Bytes content(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::cerr << "fuzz: cannot read " << path << "\n";
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_corpus(const std::string& directory) {
  std::size_t number = 0;
  for (const Bytes& seed : seeds()) {
    std::ofstream(directory + "/seed-" + std::to_string(number++), std::ios::binary)
        .write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
  }
}

int fuzz(std::uint64_t first, std::uint64_t runs, std::uint64_t seconds, std::uint64_t seed) {
  const std::vector<Bytes> inputs = seeds();
  for (std::size_t i = 0; i < inputs.size(); ++i) run(inputs[i], i);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::uint64_t done = 0;
  for (; seconds > 0 ? std::chrono::steady_clock::now() < end : done < runs; ++done) {
    Bytes input = Mutator(seed, first + done).mutated(inputs);
    if ((first + done) % 2 == 0) mend(input);
    run(input, first + done);
  }
  std::cout << done << " mutations of " << inputs.size() << " inputs, seed " << seed << ", from " << first
            << ": none failed\n";
  return 0;
}

int main_of(int argc, char** argv) {
  std::map<std::string, std::uint64_t> numbers = {{"--runs", 10000}, {"--seconds", 0}, {"--seed", 1}, {"--first", 0}};
  std::vector<const char*> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--corpus" && i + 1 < argc) return write_corpus(argv[i + 1]), 0;
    const auto option = numbers.find(word);
    if (option == numbers.end()) {
      files.push_back(argv[i]);
      continue;
    }
    const char* text = ++i < argc ? argv[i] : "";
    const auto [rest, problem] = std::from_chars(text, text + std::strlen(text), option->second);
    if (problem != std::errc() || *rest != '\0') return std::cerr << "fuzz: " << word << " needs a number\n", 2;
  }
  prepare();
  for (std::size_t i = 0; i < files.size(); ++i) run(content(files[i]), i);
  if (!files.empty()) return std::cout << files.size() << " inputs: none failed\n", 0;
  return fuzz(numbers["--first"], numbers["--runs"], numbers["--seconds"], numbers["--seed"]);
}

}  // namespace
}  // namespace pathline::fuzz

int main(int argc, char** argv) { return pathline::fuzz::main_of(argc, argv); }
