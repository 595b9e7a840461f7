// SPDX-License-Identifier: Apache-2.0
// Errors of one rank that all ranks throw together, so that nobody waits for a rank that gave up.
#pragma once

#include <exception>
#include <optional>
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

/// If any rank has an error, all ranks throw AgreedError with the code and text of the lowest such rank, and its rank
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
  } catch (const core::Error& caught) {
    error = caught;
  } catch (const std::exception& caught) {
    error.emplace(core::ExitCode::kInternal, caught.what());
  }
  throw_together(ranks, error);
  if constexpr (!std::is_void_v<Result>) return std::move(*result);
}

}  // namespace pathline::cluster
