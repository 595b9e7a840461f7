// SPDX-License-Identifier: Apache-2.0
// check_latents closed-form PICTURES LATENTS: are latents what the encoders of make_torch_scripts say in closed form?
// check_latents unit LATENTS: has every channel mean 0 and deviation 1 for those who train?
// check_latents decode PICTURES LATENTS DECODER.ts: are decoded latents the pictures, within one level?
// check_latents decode-exactly ...: the same without any difference.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/ops/from_blob.h>

#include "data/latents.h"
#include "data/loader.h"
#include "data/shard_source.h"
#include "sampler/latents.h"
#include "sampler/to_record.h"
#include "sampler/torch_script.h"

namespace {

using namespace pathline;
using Source = std::unique_ptr<data::ShardSource>;

void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

std::vector<float> values_of(const data::ShardSource& source, std::int64_t i) {
  std::vector<std::byte> item(source.info().item_bytes());
  std::vector<float> values(source.info().item_values());
  source.read(i, item);
  data::to_values(source.info(), item, /*mirrored=*/false, values);
  return values;
}

/// The stored numbers, (flips, moments, 4 C, H / 2, W / 2), of an item of `latents`.
std::vector<float> stored(const data::ShardSource& latents, std::int64_t i) {
  std::vector<std::byte> item(latents.info().item_bytes());
  std::vector<float> values(latents.info().stored_values());
  latents.read(i, item);
  data::half_to_float(item, values);
  return values;
}

/// Is `half` the float16 nearest to `exact`? fp32 may have been rounded before it.
void check_rounded(double half, double exact) {
  const double spacing = std::ldexp(1, std::max(std::ilogb(exact), -14) - 10);
  if (std::abs(half - exact) > spacing * 0.501) fail("latent " + std::to_string(half) + " of " + std::to_string(exact));
}

void check_closed_form(const data::ShardSource& pictures, const data::ShardSource& latents) {
  const data::SetInfo &from = pictures.info(), &to = latents.info();
  if (to.channels != 4 * from.channels || 2 * to.height != from.height || to.count != from.count) fail("shape");
  for (std::int64_t i = 0; i < from.count; ++i) {
    const std::vector<float> x = values_of(pictures, i), z = stored(latents, i);
    if (pictures.label(i) != latents.label(i)) fail("label");
    std::size_t k = 0;
    for (std::int64_t flip = 0; flip < to.latents.flips; ++flip)
      for (std::int64_t moment = 0; moment < to.latents.moments; ++moment)
        for (std::int64_t c = 0; c < to.channels; ++c)
          for (std::int64_t row = 0; row < to.height; ++row)
            for (std::int64_t column = 0; column < to.width; ++column, ++k) {
              const std::int64_t y = 2 * row + c % 4 / 2, right = 2 * column + c % 2;
              const std::int64_t at = flip == 1 ? from.width - 1 - right : right;
              const double mean = 2.0 * x[static_cast<std::size_t>((c / 4 * from.height + y) * from.width + at)] + 0.25;
              check_rounded(z[k], moment == 1 ? mean / 8 - 4 : mean);
            }
  }
}

void check_unit(const data::ShardSource& latents) {
  const data::SetInfo& info = latents.info();
  const auto places = static_cast<std::size_t>(info.height * info.width);
  for (std::size_t c = 0; c < static_cast<std::size_t>(info.channels); ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < info.count; ++i) {
      const std::vector<float> x = values_of(latents, i);
      for (std::size_t k = c * places; k < (c + 1) * places; ++k) sum += x[k], squares += double{x[k]} * x[k];
    }
    const double count = static_cast<double>(places) * static_cast<double>(info.count), mean = sum / count;
    // fp32 numbers of about 1
    if (std::abs(mean) > 1e-6 || std::abs(squares / count - mean * mean - 1) > 1e-6) fail("channel is not normalised");
  }
}

void check_decoded(const data::ShardSource& pictures, const data::ShardSource& latents, const std::string& decoder,
                   int most) {
  const sampler::TorchScript network(decoder);
  const data::SetInfo& info = latents.info();
  for (std::int64_t i = 0; i < pictures.info().count; ++i) {
    std::vector<float> x = values_of(latents, i);
    const at::Tensor values = at::from_blob(x.data(), {1, info.channels, info.height, info.width}, at::kFloat);
    const std::vector<std::uint8_t> made =
        sampler::to_8_bit(network.forward(sampler::latent_of(values, info.latents))[0].contiguous());
    std::vector<std::uint8_t> held(pictures.info().item_bytes());
    pictures.read(i, std::as_writable_bytes(std::span(held)));
    if (made.size() != held.size()) fail("shape");
    for (std::size_t k = 0; k < held.size(); ++k) {
      if (std::abs(made[k] - held[k]) > most) fail("picture " + std::to_string(i) + " differs");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string_view what = argv[1];
  const Source first = data::open_source({argv[2]});
  if (what == "unit") {
    check_unit(*first);
    return 0;
  }
  if (argc < 4) return 2;
  const Source second = data::open_source({argv[3]});
  if (what == "closed-form") {
    check_closed_form(*first, *second);
  } else {
    check_decoded(*first, *second, argv[4], what == "decode-exactly" ? 0 : 1);
  }
  return 0;
}
