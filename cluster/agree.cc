// SPDX-License-Identifier: Apache-2.0
#include "cluster/agree.h"

#include <array>
#include <cstdint>
#include <span>

#include "core/machine.h"

namespace pathline::cluster {
namespace {

std::string broadcast_text(Communicator& ranks, std::string text, std::size_t length, int root) {
  text.resize(length);
  ranks.broadcast(std::as_writable_bytes(std::span(text)), root);
  return text;
}

}  // namespace

void throw_together(Communicator& ranks, const std::optional<core::Error>& error) {
  std::int64_t failing = error ? ranks.rank() : ranks.size();
  ranks.all_reduce(std::span(&failing, 1), Reduction::kMin);
  if (failing == ranks.size()) return;
  const int root = static_cast<int>(failing);
  std::string text;
  std::array<std::int64_t, 2> code_and_length{};
  if (ranks.rank() == root) {
    text = error->what();
    if (ranks.size() > 1) text += core::concat(" (rank ", root, " on host ", core::host_name(), ")");
    code_and_length = {static_cast<int>(error->code()), static_cast<std::int64_t>(text.size())};
  }
  ranks.broadcast(std::as_writable_bytes(std::span(code_and_length)), root);
  const auto [code, length] = code_and_length;
  throw ToldError(static_cast<core::ExitCode>(code),
                  broadcast_text(ranks, text, static_cast<std::size_t>(length), root));
}

std::string word_of_root(Communicator& ranks, const std::string& text) {
  return broadcast_text(ranks, text, word_of_root(ranks, text.size()), 0);
}

}  // namespace pathline::cluster
