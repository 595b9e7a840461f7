// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/mail.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <span>
#include <thread>

#include "core/machine.h"

namespace pathline::doctor {
namespace {

/// All messages of a communicator have one size.
struct Message {
  Kind kind = Kind::kKnock;
  std::uint32_t here = 0;   // bytes of `text` in use
  std::uint64_t whole = 0;  // bytes of the letter
  std::array<char, 4080> text{};
};

}  // namespace

Mail::~Mail() {
  for (auto& [to, requests] : sent_) {
    for (auto& request : requests) {
      if (!request->done()) static_cast<void>(request.release());
    }
  }
}

void Mail::send(int to, Kind kind, const std::string& text) {
  std::size_t begin = 0;
  do {
    Message message{.kind = kind, .whole = text.size()};
    message.here = static_cast<std::uint32_t>(std::min(message.text.size(), text.size() - begin));
    std::memcpy(message.text.data(), text.data() + begin, message.here);
    begin += message.here;
    sent_[to].push_back(ranks_.start_send(std::as_bytes(std::span(&message, 1)), to));
  } while (begin < text.size());
}

void Mail::collect() {
  Message message;
  while (const auto from = ranks_.receive_arrived(std::as_writable_bytes(std::span(&message, 1)))) {
    auto [place, is_first] = coming_.try_emplace(*from, Letter{*from, message.kind, ""}, message.whole);
    auto& [letter, whole] = place->second;
    letter.text.append(message.text.data(), message.here);
    if (letter.text.size() < whole) continue;
    letters_.push_back(std::move(letter));
    coming_.erase(place);
  }
}

std::optional<Letter> Mail::take(Kind kind) {
  collect();
  const auto found =
      std::find_if(letters_.begin(), letters_.end(), [&](const Letter& letter) { return letter.kind == kind; });
  if (found == letters_.end()) return std::nullopt;
  Letter letter = std::move(*found);
  letters_.erase(found);
  return letter;
}

bool Mail::all_taken(int to) {
  auto& requests = sent_[to];
  std::erase_if(requests, [](const auto& request) { return request->done(); });
  return requests.empty();
}

bool Mail::wait(double seconds, const std::function<bool()>& done) {
  const double end = core::monotonic_seconds() + seconds;
  while (!done()) {
    if (core::monotonic_seconds() > end) return false;
    collect();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

}  // namespace pathline::doctor
