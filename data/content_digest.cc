// SPDX-License-Identifier: Apache-2.0
#include "data/content_digest.h"

#include <bit>
#include <cstdio>

#include "core/error.h"
#include "core/random.h"

namespace pathline::data {

namespace {

std::string heading(const SetInfo& info) {
  if (info.kind == ItemKind::kLatent) {
    return core::concat("latents ", info.latents.flips, " ", info.latents.moments, " ", info.channels, " ", info.height,
                        " ", info.width, "\n");
  }
  return core::concat(info.kind == ItemKind::kImage ? "images " : "points ", info.height, " ", info.width, " ",
                      info.channels, "\n");
}

}  // namespace

ContentDigest::ContentDigest(const SetInfo& info) : hash_(core::hash_name(heading(info))) {
  if (info.kind != ItemKind::kLatent) return;
  for (const auto* numbers : {&info.latents.shift, &info.latents.scale}) {
    for (const double number : *numbers) add_bytes(std::bit_cast<std::uint64_t>(number), 8);
  }
}

void ContentDigest::add(std::uint32_t crc32c, std::int64_t label) {
  add_bytes(crc32c, 4);
  add_bytes(static_cast<std::uint64_t>(label), 8);
}

// FNV-1a, going on where hash_name() stopped; least significant byte first.
void ContentDigest::add_bytes(std::uint64_t value, int bytes) {
  constexpr std::uint64_t kPrime = 0x100000001b3u;
  for (int i = 0; i < bytes; ++i) hash_ = (hash_ ^ ((value >> (8 * i)) & 0xff)) * kPrime;
}

namespace {

std::string digits(const char* kind, std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "%s:%016llx", kind, static_cast<unsigned long long>(value));
  return text;
}

}  // namespace

std::string ContentDigest::text() const { return digits("fnv1a64", hash_); }

void UnorderedDigest::add(std::uint32_t crc32c, std::int64_t label) {
  ContentDigest alone(info_);
  alone.add(crc32c, label);
  sum_ += alone.hash();
}

std::string UnorderedDigest::text() const { return digits("sum64", sum_); }

}  // namespace pathline::data
