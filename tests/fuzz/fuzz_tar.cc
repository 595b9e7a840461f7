// SPDX-License-Identifier: Apache-2.0
// Archives of class folders and WebDataset shards, plain and gzipped.
#include "data/png.h"
#include "tests/fuzz/pictures.h"

namespace pathline::fuzz {

std::vector<Bytes> seeds() {
  const Bytes picture = bytes_of(data::encode_png(small_picture(4, 5, 3)));
  const auto text = [](const std::string& value) { return Bytes(value.begin(), value.end()); };
  const Bytes folders = tar({{"set/", {}}, {"set/cat/1.png", picture}, {"set/dog/00000/2.png", picture}});
  const Bytes shard = tar({{"a.png", picture}, {"a.cls", text("3\n")}, {"b.png", picture}, {"b.cls", text("0")}});
  Bytes pax = tar({{"PaxHeader", text("28 path=cat/long/name/1.png\n")}, {"cut", picture}});
  pax[156] = 'x';
  return {folders, shard, pax, gzipped(folders), gzipped(shard)};
}

/// The headers' checksums.
void mend(Bytes& input) {
  for (std::size_t at = 0; at + 512 <= input.size(); at += 512) {
    if (input[at + 257] != 'u' || input[at + 258] != 's') continue;
    unsigned sum = 8 * ' ';
    for (std::size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? 0 : input[at + i];
    for (std::size_t digit = 0; digit < 6; ++digit) {
      input[at + 153 - digit] = static_cast<std::uint8_t>('0' + (sum >> (3 * digit) & 7));
    }
    input[at + 154] = 0, input[at + 155] = ' ';
  }
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return pathline::fuzz::import_bytes("set.tar", data, size);
}
