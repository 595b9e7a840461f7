// SPDX-License-Identifier: Apache-2.0
// make_described_set DIRECTORY: tokenized.h5, pictures whose brightness the first token of their prompt tells, and
// prompt_tokens.h5, token ids of two prompts alone, bright and dark. For the test of training and sampling by text.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/random.h"
#include "data/hdf5.h"
#include "data/image_store_writer.h"

namespace {

using namespace pathline;

constexpr std::int64_t kCount = 256, kSize = 8, kLength = 3;
constexpr std::int32_t kBright = 1, kDark = 2;

std::vector<std::int32_t> prompt(std::int32_t first) { return {first, 3, 3}; }

void write_tokens(data::hdf5::File& file, const std::vector<std::int32_t>& tokens, std::int64_t count) {
  const std::vector<std::int32_t> null(kLength, 0);
  file.create_data_set("/tokens", data::hdf5::Element::kInt32, {count, kLength})
      .write(std::as_bytes(std::span(tokens)));
  file.create_data_set("/null_tokens", data::hdf5::Element::kInt32, {kLength}).write(std::as_bytes(std::span(null)));
}

/// Levels around 205 or 50, no two pictures alike.
std::vector<std::uint8_t> picture(std::int64_t i, bool bright) {
  const core::Draws draws(1, static_cast<std::uint64_t>(i), core::Purpose::kMadeData);
  std::vector<std::uint8_t> pixels(kSize * kSize * 3);
  for (std::size_t k = 0; k < pixels.size(); ++k) {
    pixels[k] = static_cast<std::uint8_t>((bright ? 190 : 35) + draws.bits(k) % 31);
  }
  return pixels;
}

void write_set(const std::string& path) {
  data::hdf5::File file = data::hdf5::File::create(path);
  std::vector<std::int32_t> tokens;
  std::vector<std::uint8_t> pixels;
  for (std::int64_t i = 0; i < kCount; ++i) {
    const bool bright = i % 2 == 0;
    for (const std::int32_t token : prompt(bright ? kBright : kDark)) tokens.push_back(token);
    for (const std::uint8_t pixel : picture(i, bright)) pixels.push_back(pixel);
  }
  file.create_data_set("/images", data::hdf5::Element::kUint8, {kCount, kSize, kSize, 3})
      .write(std::as_bytes(std::span(pixels)));
  file.set_text("/", "format", "pathline-images");
  file.set_integer("/", "version", 1);
  write_tokens(file, tokens, kCount);
  file.close();
}

void write_prompts(const std::string& path) {
  std::vector<std::int32_t> tokens = prompt(kBright);
  for (const std::int32_t token : prompt(kDark)) tokens.push_back(token);
  data::hdf5::File file = data::hdf5::File::create(path);
  write_tokens(file, tokens, 2);
  file.close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  write_set(std::string(argv[1]) + "/tokenized.h5");
  write_prompts(std::string(argv[1]) + "/prompt_tokens.h5");
  return 0;
}
