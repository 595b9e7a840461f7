// SPDX-License-Identifier: Apache-2.0
// Errors of one rank that all ranks throw together, so that nobody waits for a rank that gave up; rank 0's word for
// all.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "cluster/communicator.h"
#include "core/error.h"

namespace pathline::cluster {

/// Thrown by all ranks at once: the program can end in order, with this error's code on every rank.
class AgreedError : public core::Error {
 public:
  using core::Error::Error;
};

/// One that some rank met alone, told to all.
class ToldError : public AgreedError {
 public:
  using AgreedError::AgreedError;
};

/// If any rank has an error, all ranks throw ToldError with the code and text of the lowest such rank, and its rank
/// and host where there are several ranks. Collective; costs one small all-reduce if all is well.
void throw_together(Communicator& ranks, const std::optional<core::Error>& error);

/// Runs work of this rank alone (no collectives in it) and throws together whatever it throws on any rank.
/// Returns what the work returns. Collective.
template <class Work>
auto together(Communicator& ranks, const Work& work) {
  using Result = std::invoke_result_t<Work>;
  std::optional<core::Error> error;
  std::optional<std::conditional_t<std::is_void_v<Result>, bool, Result>> result;
  try {
    if constexpr (std::is_void_v<Result>) {
      work();
    } else {
      result.emplace(work());
    }
  } catch (const std::exception& caught) {
    error = core::as_error(caught);
  }
  throw_together(ranks, error);
  if constexpr (!std::is_void_v<Result>) return std::move(*result);
}

/// Rank 0's value on every rank; what the others pass is not looked at. Collective.
template <class Value>
Value word_of_root(Communicator& ranks, Value value) {
  static_assert(std::is_trivially_copyable_v<Value>);
  ranks.broadcast(std::as_writable_bytes(std::span(&value, 1)), 0);
  return value;
}

/// The same of texts.
std::string word_of_root(Communicator& ranks, const std::string& text);

}  // namespace pathline::cluster
