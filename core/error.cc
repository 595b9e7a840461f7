// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"

#include <cerrno>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

namespace pathline::core {

std::string errno_text() { return std::generic_category().message(errno); }

void assertion_failed(const char* expression, const char* file, int line) {
  throw std::logic_error(concat("internal mistake: ", expression, " does not hold at ", file, ":", line,
                                ". Please report it with the command and the recipe."));
}

namespace {

/// LibTorch appends a stack trace after the first line; users do not need it.
std::string_view first_paragraph(std::string_view text) {
  const auto end = text.find("\nException raised from");
  return end == std::string_view::npos ? text : text.substr(0, end);
}

/// std::bad_alloc, and what LibTorch's allocators say ("CUDA out of memory", "can't allocate memory").
bool is_out_of_memory(const std::exception& caught) {
  const std::string_view text = caught.what();
  return dynamic_cast<const std::bad_alloc*>(&caught) != nullptr || text.find("out of memory") != text.npos ||
         text.find("can't allocate memory") != text.npos;
}

}  // namespace

// Texts of LibTorch and of check_cuda() (core/cuda_error.h).
bool is_gpu_fault(const std::exception& caught) {
  return std::string_view(caught.what()).find("CUDA error") != std::string_view::npos && !is_out_of_memory(caught);
}

Error as_error(const std::exception& caught) {
  if (const auto* known = dynamic_cast<const Error*>(&caught)) return *known;
  const std::string text(first_paragraph(caught.what()));
  if (is_gpu_fault(caught)) {
    return {ExitCode::kEnvironment, concat("the GPU failed (", text, "). Look at nvidia-smi for the device's state.")};
  }
  if (!is_out_of_memory(caught)) return {ExitCode::kInternal, text};
  return {ExitCode::kEnvironment,
          concat("out of memory (", text, "). Take less at once: when training, smaller slices, ",
                 "train.micro_batch or activation checkpointing (docs/recovery.md, \"Out of ",
                 "memory\"); when sampling, fewer --slots.")};
}

int run_program(const std::function<int()>& body) {
  try {
    return body();
  } catch (const std::exception& caught) {
    const Error error = as_error(caught);
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}

}  // namespace pathline::core
