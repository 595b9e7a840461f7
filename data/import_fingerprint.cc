// SPDX-License-Identifier: Apache-2.0
#include "data/import_fingerprint.h"

#include <cstdio>

#include "core/error.h"

namespace pathline::data {
namespace {

/// FNV-1a over texts, each with its end.
class Hash {
 public:
  void add(const std::string& text) {
    for (const char letter : text) add_byte(static_cast<unsigned char>(letter));
    add_byte(0);
  }
  std::string text() const {
    char text[32];
    std::snprintf(text, sizeof text, "fnv1a64:%016llx", static_cast<unsigned long long>(hash_));
    return text;
  }

 private:
  void add_byte(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3u; }

  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace

std::string import_fingerprint(const PictureSource& source, const ImportOptions& options, const SetInfo& info,
                               std::int64_t first, std::int64_t last) {
  Hash hash;
  hash.add(core::concat("pathline import 1 ", options.size, " ", static_cast<int>(options.filter), " ", options.pad,
                        " ", options.channels));
  hash.add(core::concat(info.height, " ", info.width, " ", info.channels, " ", info.classes));
  for (const std::string& name : info.class_names) hash.add(name);
  for (const std::string& name : info.attribute_names) hash.add(name);
  for (std::int64_t i = first; i < last; ++i) {
    hash.add(source.name(i));
    hash.add(core::concat(source.stamp(i), " ", source.label(i)));
    const std::vector<std::uint8_t> attributes = source.attributes(i);
    hash.add({attributes.begin(), attributes.end()});
  }
  return hash.text();
}

}  // namespace pathline::data
