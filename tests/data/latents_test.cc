// SPDX-License-Identifier: Apache-2.0
// Latents in image stores: float16, with flips, laws to draw from, and a normalisation.
#include "data/latents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/error.h"
#include "data/image_store_writer.h"
#include "data/latent_scale.h"
#include "data/loader.h"
#include "data/verify.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

constexpr std::int64_t kCount = 12;

/// What the bits of a half mean, by IEEE 754.
double meaning_of(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

/// The half that is `value`, a multiple of 1/64 below 16.
std::uint16_t half(double value) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (meaning_of(static_cast<std::uint16_t>(bits)) == value) return static_cast<std::uint16_t>(bits);
  }
  ADD_FAILURE() << value << " is no half";
  return 0;
}

SetInfo latents(std::int64_t flips, std::int64_t moments) {
  SetInfo info;
  info.kind = ItemKind::kLatent;
  info.count = kCount;
  info.channels = 3;
  info.height = 2;
  info.width = 4;
  info.classes = 3;
  info.latents = {flips, moments, {0.5, -1, 0}, {2, 0.18215, -1}};
  return info;
}

/// Number k of item i: multiples of 1/64 between -4 and 4.
double number(std::int64_t i, std::size_t k) {
  return static_cast<double>((37 * i + 11 * static_cast<std::int64_t>(k)) % 513 - 256) / 64;
}

std::vector<std::byte> item(const SetInfo& info, std::int64_t i) {
  std::vector<std::byte> bytes;
  for (std::size_t k = 0; k < info.stored_values(); ++k) {
    const std::uint16_t bits = half(number(i, k));
    bytes.push_back(static_cast<std::byte>(bits & 255));
    bytes.push_back(static_cast<std::byte>(bits >> 8));
  }
  return bytes;
}

std::string write_set(const std::string& path, const SetInfo& info, std::int64_t from = 0) {
  ImageStoreWriter writer(path, info);
  for (std::int64_t i = 0; i < info.count; ++i) writer.append(item(info, from + i), i % 3);
  return writer.finish();
}

/// (latent - shift) * scale of number k of a (3, 2, 4) latent, the operations rounded to fp32.
float normalised(const SetInfo& info, double latent, std::size_t k) {
  const auto shift = static_cast<float>(info.latents.shift[k / 8]),
             scale = static_cast<float>(info.latents.scale[k / 8]);
  return (static_cast<float>(latent) - shift) * scale;
}

std::vector<float> values_of(const ShardSource& source, std::int64_t i, bool mirrored,
                             const core::Draws* draw = nullptr) {
  std::vector<std::byte> bytes(source.info().item_bytes());
  source.read(i, bytes);
  std::vector<float> values(source.info().item_values());
  to_values(source.info(), bytes, mirrored, values, draw);
  return values;
}

TEST(Latents, EveryHalfBecomesItsNumber) {
  std::vector<std::uint16_t> halves(0x10000);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  std::vector<float> values(halves.size());
  half_to_float(std::as_bytes(std::span(halves)), values);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const double expected = meaning_of(halves[i]);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(values[i])) << i;
    } else {
      EXPECT_EQ(std::bit_cast<std::uint32_t>(values[i]), std::bit_cast<std::uint32_t>(static_cast<float>(expected)))
          << i;
    }
  }
}

TEST(Latents, ComeBackNormalised) {
  const tests::TemporaryDirectory directory;
  for (const std::int64_t flips : {1, 2}) {
    for (const std::int64_t moments : {1, 2}) {
      const SetInfo info = latents(flips, moments);
      const std::string path = core::concat(directory.path(), "/a", flips, moments, ".h5");
      write_set(path, info);
      const auto source = open_source({path});
      EXPECT_EQ(source->info().kind, ItemKind::kLatent);
      EXPECT_EQ(source->info().latents, info.latents);
      EXPECT_THAT(source->info().description, testing::HasSubstr("contiguous, read directly"));
      for (std::int64_t flip = 0; flip < flips; ++flip) {
        const auto begin = static_cast<std::size_t>(24 * moments * flip);  // the mean comes first
        const std::vector<float> values = values_of(*source, 5, flip == 1);
        for (std::size_t k = 0; k < 24; ++k) EXPECT_EQ(values[k], normalised(info, number(5, begin + k), k));
      }
      EXPECT_EQ(source->label(5), 2);
    }
  }
}

TEST(Latents, DeviationIsTheExponentialOfHalfTheLogVariance) {
  for (double log_variance = -31; log_variance < 21; log_variance += 1.0 / 64) {
    const double exact = std::exp(std::clamp(log_variance, -30.0, 20.0) / 2);
    const float found = latent_deviation(static_cast<float>(log_variance));
    EXPECT_NEAR(found, exact, exact * 0x1.0001p-24) << log_variance;  // rounded once
  }
  EXPECT_TRUE(std::isnan(latent_deviation(std::numeric_limits<float>::quiet_NaN())));
}

/// One latent of one number, of mean 1, in a set of its own.
std::unique_ptr<ShardSource> one_law() {
  SetInfo info;
  info.kind = ItemKind::kLatent;
  info.count = info.channels = info.height = info.width = 1;
  info.latents = {1, 2, {0.25}, {0.5}};
  const std::vector<std::uint16_t> law = {half(1), half(1.375)};  // exp(1.375) is the variance
  const auto bytes = std::as_bytes(std::span(law));
  return source_in_memory(info, {bytes.begin(), bytes.end()}, {});
}

TEST(Latents, AreDrawnWithTheMomentsOfTheirLaw) {
  const auto source = one_law();
  constexpr std::int64_t kDraws = 40000;
  LoaderOptions options;
  options.batch = options.last = kDraws;
  options.seed = 5;
  Loader loader(*source, one_by_one([](std::uint64_t) { return 0; }), options);
  const Batch batch = loader.next();
  double sum = 0, squares = 0;
  for (const float value : batch.values) sum += value, squares += static_cast<double>(value) * value;
  const double mean = sum / kDraws, variance = squares / kDraws - mean * mean, expected = std::exp(1.375) / 4;
  // four standard errors of both estimates
  EXPECT_NEAR(mean, (1 - 0.25) * 0.5, 4 * std::sqrt(expected / kDraws));
  EXPECT_NEAR(variance, expected, 4 * expected * std::sqrt(2.0 / kDraws));
}

TEST(Latents, EveryVisitHasItsOwnDrawOnAnyRanks) {
  const tests::TemporaryDirectory directory;
  const SetInfo info = latents(2, 2);
  write_set(directory.path() + "/a.h5", info);
  const auto source = open_source({directory.path() + "/a.h5"});
  const auto batches = [&](std::int64_t ranks, int threads) {
    std::vector<std::vector<float>> found(3);
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      LoaderOptions options;
      options.batch = 8;
      options.first = 8 * rank / ranks;
      options.last = 8 * (rank + 1) / ranks;
      options.flip = true;
      options.seed = 7;
      options.threads = threads;
      Loader loader(*source, one_by_one([](std::uint64_t position) { return static_cast<std::int64_t>(position % 4); }),
                    options);
      for (auto& batch : found) {
        const std::vector<float> part = loader.next().values;
        batch.insert(batch.end(), part.begin(), part.end());
      }
    }
    return found;
  };
  const auto alone = batches(1, 1);
  EXPECT_EQ(alone, batches(3, 2));
  EXPECT_NE(alone[0], alone[1]);  // the same samples, other draws
  // flips as docs/formats/random.md lists them for seed 7: 1 0 1 1 1 1 0 0, and the draw of the position
  for (const std::uint64_t position : {0u, 1u, 7u}) {
    const core::Draws draw(7, position, core::Purpose::kLatent);
    const std::size_t begin = position == 0 ? 48 : 0;  // of the flip's mean; the log-variance is 24 further
    for (std::size_t k = 0; k < 24; ++k) {
      const auto sample = static_cast<std::int64_t>(position % 4);
      const auto mean = static_cast<float>(number(sample, begin + k));
      const float deviation = latent_deviation(static_cast<float>(number(sample, begin + 24 + k)));
      EXPECT_EQ(alone[0][position * 24 + k], normalised(info, mean + deviation * draw.normal(k), k));
    }
  }
}

TEST(Latents, DigestsTellContentAndNormalisationAndKnowParts) {
  const tests::TemporaryDirectory directory;
  const std::string at = directory.path();
  SetInfo info = latents(1, 1), whole = info;
  whole.count = 2 * kCount;
  const std::string one = write_set(at + "/whole.h5", whole);
  write_set(at + "/a-00000-of-00002.h5", info);
  write_set(at + "/a-00001-of-00002.h5", info, kCount);
  EXPECT_EQ(open_source({at + "/a-*.h5"})->info().digest, one);
  whole.latents.scale[1] = 0.2;
  EXPECT_NE(write_set(at + "/other.h5", whole), one);
  info.latents.scale[1] = 0.2;
  write_set(at + "/a-00001-of-00002.h5", info, kCount);
  EXPECT_THROW(open_source({at + "/a-*.h5"}), core::Error);  // two scales in one set
}

TEST(Latents, HaveTheDigestOfTheFormatPage) {
  const tests::TemporaryDirectory directory;
  SetInfo info;
  info.kind = ItemKind::kLatent;
  info.count = 2;
  info.channels = info.height = info.width = 1;
  info.latents = {1, 1, {0}, {0.18215}};
  ImageStoreWriter writer(directory.path() + "/a.h5", info);
  for (const double value : {1.0, -2.0}) {
    const std::uint16_t bits = half(value);
    writer.append(std::as_bytes(std::span(&bits, 1)), -1);
  }
  EXPECT_EQ(writer.finish(), "fnv1a64:116a3e69ed05952f");
}

TEST(Latents, ATurnedBitIsNoticed) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.h5";
  const SetInfo info = latents(2, 1);
  write_set(path, info);
  const std::vector<std::byte> seventh = item(info, 7);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const std::size_t place = bytes.find(std::string(reinterpret_cast<const char*>(seventh.data()), seventh.size()));
  ASSERT_NE(place, std::string::npos);
  file.seekp(static_cast<std::streamoff>(place + 9)).put(static_cast<char>(bytes[place + 9] ^ 16)).flush();
  const auto source = open_source({path});
  EXPECT_THAT(verify(*source, 2, [](std::int64_t) {}).damaged, testing::ElementsAre(7));
}

/// What opening `path` complains about.
std::string complaint(const std::string& path) {
  try {
    open_source({path});
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput);
    return error.what();
  }
  return "";
}

/// /latents of `element`, and the attribute `scale`, as other programs write them.
std::string foreign(const std::string& path, hdf5::Element element, const std::vector<std::int64_t>& shape,
                    const std::vector<double>& scale) {
  hdf5::File file = hdf5::File::create(path);
  file.set_text("/", "format", "pathline-images");
  file.set_integer("/", "version", 1);
  const hdf5::DataSet set = file.create_data_set("/latents", element, shape);
  set.write(std::vector<std::byte>(set.elements() * set.element_bytes()));
  if (!scale.empty()) file.set_numbers("/latents", "scale", scale);
  file.close();
  return path;
}

TEST(Latents, OfOtherProgramsAreReadOrRefusedInWords) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.h5";
  using hdf5::Element;
  EXPECT_EQ(complaint(foreign(path, Element::kFloat16, {5, 4, 2, 2}, {0.5})), "");
  EXPECT_EQ(open_source({path})->info().latents, (LatentForm{1, 1, {0, 0, 0, 0}, {0.5, 0.5, 0.5, 0.5}}));
  EXPECT_THAT(complaint(foreign(path, Element::kFloat32, {5, 4, 2, 2}, {})), testing::HasSubstr("latents float32"));
  EXPECT_THAT(complaint(foreign(path, Element::kFloat16, {5, 3, 1, 4, 2, 2}, {})), testing::HasSubstr("flips 1..2"));
  EXPECT_THAT(complaint(foreign(path, Element::kFloat16, {5, 4, 2, 2}, {1, 2})), testing::HasSubstr("4 channels"));
  EXPECT_THAT(complaint(foreign(path, Element::kFloat16, {5, 4, 2, 2}, {1, 2, 0, 1})), testing::HasSubstr("zero"));
}

TEST(Latents, WithoutMirrorImagesAreNotMirrored) {
  const auto source = one_law();
  LoaderOptions options;
  options.batch = options.last = 1;
  options.flip = true;
  EXPECT_THROW(Loader(*source, one_by_one([](std::uint64_t) { return 0; }), options), core::Error);
}

TEST(LatentScale, IsReadFromItsNames) {
  EXPECT_EQ(parse_latent_scale("sd1")->scale, 0.18215);
  EXPECT_EQ(parse_latent_scale("sd3")->shift, 0.0609);
  EXPECT_EQ(parse_latent_scale("sd3")->scale, 1.5305);
  EXPECT_EQ(parse_latent_scale("none")->scale, 1);
  EXPECT_EQ(parse_latent_scale("-0.5,2")->shift, -0.5);
  EXPECT_FALSE(parse_latent_scale("channel"));
  for (const char* wrong : {"sd2", "1", "1,0", "1,2,3", "nan,1"}) EXPECT_THROW(parse_latent_scale(wrong), core::Error);
}

TEST(LatentScale, IsMeasuredOverItemsFlipsAndLaws) {
  for (const std::int64_t moments : {1, 2}) {
    const SetInfo info = latents(2, moments);
    ChannelMoments measured(info);
    for (std::int64_t i = 0; i < kCount; ++i) measured.add(item(info, i));
    for (std::size_t c = 0; c < 3; ++c) {
      long double sum = 0, squares = 0, count = 0;
      for (std::int64_t i = 0; i < kCount; ++i) {
        for (std::size_t flip = 0; flip < 2; ++flip) {
          const std::size_t begin = 24 * static_cast<std::size_t>(moments) * flip;
          for (std::size_t k = 8 * c; k < 8 * (c + 1); ++k) {
            const long double value = number(i, begin + k);
            const long double law = moments == 2 ? std::exp(number(i, begin + 24 + k)) : 0;
            sum += value, squares += value * value + law, count += 1;
          }
        }
      }
      const auto mean = static_cast<double>(sum / count);
      const auto deviation = static_cast<double>(std::sqrt(squares / count - sum / count * (sum / count)));
      EXPECT_NEAR(measured.mean()[c], mean, 1e-12);
      EXPECT_NEAR(measured.deviation()[c], deviation, (moments == 2 ? 1e-6 : 1e-12) * deviation);  // fp32 deviations
    }
  }
}

TEST(LatentScale, OfAConstantChannelIsRefused) {
  SetInfo info = latents(1, 1);
  ChannelMoments measured(info);
  std::vector<std::uint16_t> same(info.stored_values(), half(1.5));
  measured.add(std::as_bytes(std::span(same)));
  EXPECT_THROW(measured.deviation(), core::Error);
}

}  // namespace
}  // namespace pathline::data
