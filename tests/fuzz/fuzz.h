// SPDX-License-Identifier: Apache-2.0
// What a fuzz target is: the entry point that libFuzzer and AFL call, and the inputs that mutation starts from. The
// driver beside it (driver.cc) needs neither. Whatever the bytes are, a target returns; it lets pass only core::Error
// that blames the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace pathline::fuzz {

using Bytes = std::vector<std::uint8_t>;

/// Good inputs, each of another kind.
std::vector<Bytes> seeds();

/// Mends what would otherwise stop a decoder at once, such as checksums, after a mutation. A target may have none.
void mend(Bytes& input);

/// Runs `body`; an error that says that the input, or how it was asked for, is no good is what is wanted.
template <class Body>
void expect_answer(const Body& body) {
  try {
    body();
  } catch (const core::Error& error) {
    if (error.code() != core::ExitCode::kInput && error.code() != core::ExitCode::kUsage) throw;
  }
}

}  // namespace pathline::fuzz
