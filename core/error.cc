// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"

#include <cerrno>
#include <cstdio>
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

}  // namespace

int run_program(const std::function<int()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    const std::string text(first_paragraph(error.what()));
    std::fprintf(stderr, "error: %s\n", text.c_str());
    return static_cast<int>(ExitCode::kInternal);
  }
}

}  // namespace pathline::core
