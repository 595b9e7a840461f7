// SPDX-License-Identifier: Apache-2.0
// The manifest is foreign bytes: whatever is in it, reading it either works or explains itself with exit code 3.
#include "checkpoint/manifest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/crc32c.h"
#include "core/error.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/memory_file_system.h"

namespace pathline::checkpoint {
namespace {

constexpr std::size_t kTail = 22;

/// `body` with the tail that makes its CRC right, so that a test gets past the CRC.
std::string sealed(const std::string& body) {
  char tail[kTail + 1];
  std::snprintf(tail, sizeof tail, "\"crc32c\": \"%08x\"}\n", core::crc32c(std::as_bytes(std::span(body))));
  return body + tail;
}

std::string good_text() {
  tests::MemoryFileSystem files;
  save_alone(files, "/c", small_sample(1));
  return core::read_text(files, "/c/step-1/manifest.json");
}

std::string body_of(const std::string& text) { return text.substr(0, text.size() - kTail); }

/// "" if it is accepted, else the message; any other exit code or exception fails the test.
std::string refusal(const std::string& text) {
  try {
    parse_manifest(text, "m");
    return "";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput) << error.what();
    return error.what();
  }
}

std::string with(const std::string& from, const std::string& to) {
  std::string body = body_of(good_text());
  const auto at = body.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return sealed(body.replace(at, from.size(), to));
}

TEST(Manifest, ReadsBackWhatItWrote) {
  EXPECT_EQ(refusal(good_text()), "");
  EXPECT_EQ(manifest_text(parse_manifest(good_text(), "m")), good_text());
}

TEST(Manifest, MetricsThatAreNotFiniteSurvive) {
  Manifest manifest;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  manifest.state.metrics = {{"a", std::nan("")}, {"b", kInfinity}, {"c", -kInfinity}, {"d", 5e-324}};
  const auto read = parse_manifest(manifest_text(manifest), "m").state.metrics;
  EXPECT_TRUE(std::isnan(read.at("a")));
  EXPECT_EQ(read.at("b"), kInfinity);
  EXPECT_EQ(read.at("c"), -kInfinity);
  EXPECT_EQ(read.at("d"), 5e-324);
}

TEST(Manifest, UnknownMembersAreIgnoredAndNewerVersionsRefusedInWords) {
  EXPECT_EQ(refusal(with("\"attempt\"", "\"later\": [{}], \"attempt\"")), "");
  EXPECT_NE(refusal(with("\"version\": 1", "\"version\": 2")).find("newer than 1"), std::string::npos);
  EXPECT_NE(refusal(with("pathline-checkpoint", "pathline-images")).find("not the manifest"), std::string::npos);
}

TEST(Manifest, HolesOverlapsAndForeignPlacesAreRefused) {
  // small_sample: tensors w [5, 7], w [5, 7], scale [], none [0, 4]; one segment each for the first three.
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"[5,7]", "[5,8]"},                    // a hole at the end
      {"[5,7]", "[5,6]"},                    // too many elements
      {"[5,7]", "[0,7]"},                    // segments of a tensor without elements
      {"[5,7]", "[4294967296,4294967296]"},  // more than memory can hold
      {"[5,7]", "[-5,-7]"},
      {"[5,7]", "[5.0,7]"},
      {"\"F32\",[5", "\"F31\",[5"},
      {"[0,0,35,0", "[0,1,35,0"},  // a hole at the start
      {"[0,0,35,0", "[1,0,35,0"},  // twice the same
      {"[0,0,35,0", "[9,0,35,0"},  // no such tensor
      {"[0,0,35,0", "[0,0,35,1"},  // no such file
      {"[0,0,35,0", "[0,0,34,0"},  // bytes and elements disagree
      {"[0,0,35,0", "[0,0,0,0"},
      {"[0,0,35,0", "[0,18446744073709551615,35,0"},
      {"[0,0,35,0", "[0,0,35"},
      {"rank-0.safetensors", "../rank-0.safetensors"},
      {"rank-0.safetensors", "rank-.safetensors"},
      {"rank-0.safetensors", "/etc/passwd"},
      {"\"length\":", "\"length\":9999999"},  // more bytes than checksums
      {"\"crc32c\":[", "\"crc32c\":[4294967296,"},
      {"\"piece_bytes\": 1048576", "\"piece_bytes\": 4096"},
      {"\"buffer\",\"scale\"", "\"buf/fer\",\"scale\""},
      {"\"ema-0.999\",\"w\"", "\"master\",\"w\""},
      {"\"step\": 1", "\"step\": -1"},
      {"\"step\": 1", "\"step\": 1.5"},
      {"\"recipe\": \"", "\"recipe\": 5, \"x\": \""},
  };
  for (const auto& [from, to] : changes) EXPECT_NE(refusal(with(from, to)), "") << from << " -> " << to;
}

TEST(Manifest, DeepNestingAndEmptyTextAreRefused) {
  EXPECT_NE(refusal(""), "");
  EXPECT_NE(refusal(sealed("")), "");
  EXPECT_NE(refusal(sealed("{")), "");
  EXPECT_NE(refusal(sealed("{\"a\": " + std::string(200'000, '[') + std::string(200'000, ']') + ", ")), "");
}

/// Mutations with the right CRC: whatever is accepted must be consistent enough to be written and read again.
TEST(Manifest, MutatedTextIsRefusedOrConsistent) {
  const std::string body = body_of(good_text());
  const std::string alphabet = "0123456789-+.eE\"[]{},:tfn \\\xff";
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return random() % n; };
  int accepted = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string mutated = body;
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(mutated.size());
      switch (below(3)) {
        case 0:
          mutated[at] = alphabet[below(alphabet.size())];
          break;
        case 1:
          mutated.erase(at, 1 + below(8));
          break;
        default:
          mutated.insert(at, 1, alphabet[below(alphabet.size())]);
          break;
      }
    }
    if (!refusal(sealed(mutated)).empty()) continue;
    ++accepted;
    const Manifest manifest = parse_manifest(sealed(mutated), "m");
    ASSERT_EQ(refusal(manifest_text(manifest)), "") << mutated;
    for (const auto& s : manifest.segments) {
      ASSERT_LE(s.end, manifest.files.at(s.file).length);
      ASSERT_LE(s.offset + s.count, elements_of(manifest.tensors.at(s.tensor)));
    }
  }
  EXPECT_GT(accepted, 10);    // digits of step, letters of the recipe
  EXPECT_LT(accepted, 4000);  // but most mutations hit structure
}

}  // namespace
}  // namespace pathline::checkpoint
