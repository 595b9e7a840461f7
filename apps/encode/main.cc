// SPDX-License-Identifier: Apache-2.0
// pathline-encode: what `pathline data encode` starts, a program of its own because it needs LibTorch.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/cli.h"
#include "apps/encode/encoded_text.h"

namespace pathline::apps {
namespace {

int program(int argc, const char* const* argv) {
  CLI::App app(
      "Encode the prompts of a set with a TorchScript encoder: forward(token ids (N, L) int64) gives (N, T, W), a row "
      "for every token, and (N, P), the whole prompt.\n"
      "Example: pathline data encode --text encoder.ts tokenized.h5 -o described.h5",
      "pathline data encode");
  TextEncoding encoding;
  std::string encoder;
  int threads = at::get_num_threads();
  app.add_option("--text", encoder, "TorchScript file")->required();
  app.add_option("input", encoding.input,
                 "HDF5 with /tokens (N, L) and /null_tokens (L), beside images or points, or alone: prompts for "
                 "`pathline sample --text`")
      ->required();
  app.add_option("-o,--output", encoding.output,
                 "the same with /text_embeddings, /text_pooled, /null_text, /null_pooled")
      ->required();
  app.add_option("--batch", encoding.batch, "prompts in the encoder at once")->capture_default_str();
  app.add_option("--threads", threads, "of the encoder (default: all cores)");
  return run_cli(app, argc, argv, [&] {
    at::set_num_threads(threads);
    const std::int64_t count = encode_text(sampler::TorchScript(encoder), encoding);
    std::printf("%lld prompts encoded into %s\n", static_cast<long long>(count), encoding.output.c_str());
    return 0;
  });
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) { return pathline::apps::program(argc, argv); }
