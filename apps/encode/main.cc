// SPDX-License-Identifier: Apache-2.0
// pathline-encode: what `pathline data encode` starts, a program of its own because it needs LibTorch.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <thread>

#include "apps/cli.h"
#include "apps/encode/encoded_text.h"
#include "apps/encode/latent_run.h"
#include "cluster/session.h"
#include "core/error.h"
#include "launch/signals.h"

namespace pathline::apps {
namespace {

struct Options {
  std::string text;  // the encoder of prompts; empty: pictures are encoded
  std::int64_t batch = 0;
  LatentOptions latents;
};

void add_options(CLI::App& app, Options& options) {
  LatentOptions& latents = options.latents;
  auto* const text = app.add_option(
      "--text", options.text,
      "TorchScript encoder of prompts: forward(token ids (N, L) int64) gives (N, T, W), a row for every token, and "
      "(N, P), the whole prompt");
  auto* const encoder = app.add_option("--encoder", latents.encoder,
                                       "TorchScript encoder of pictures: forward(x) of fp32 (B, C, H, W) in [-1, 1] "
                                       "gives latents (B, c, h, w); alone or under mpirun, and on again after a kill");
  app.add_option("input", latents.input,
                 "a set of pictures; with --text HDF5 with /tokens (N, L) and /null_tokens (L), beside images or "
                 "points, or alone: prompts for `pathline sample --text`")
      ->required();
  app.add_option("-o,--output", latents.output,
                 "the set of latents; with --text the same with /text_embeddings, /text_pooled, /null_text, "
                 "/null_pooled")
      ->required();
  app.add_flag("--moments", latents.moments,
               "the encoder gives (B, 2c, h, w), means and log-variances: training draws from them at every visit")
      ->needs(encoder);
  app.add_flag("--flips", latents.flips, "encode mirror images, too (for data.flip)")->needs(encoder);
  app.add_option("--normalize", latents.normalize,
                 "x = (latent - shift) * scale: channel (measured: mean 0, deviation 1), sd1, sd3, none or SHIFT,SCALE")
      ->capture_default_str()
      ->needs(encoder);
  app.add_option("--device", latents.device, "of --encoder: auto (a GPU where there is one), cpu or cuda")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->needs(encoder);
  app.add_option("--batch", options.batch, "in the encoder at once (default: 8 pictures, 1 prompt); part of the bits");
  app.add_option("--part-size", latents.part_size,
                 "pictures that are committed at once, at most (default: 10 s of work)")
      ->needs(encoder);
  app.add_option("--threads", latents.threads, "of the encoder (default: all cores, 1 under mpirun); part of the bits");
  text->excludes(encoder);
}

int encode_prompts(const Options& options) {
  const LatentOptions& given = options.latents;
  at::set_num_threads(given.threads > 0 ? static_cast<int>(given.threads)
                                        : static_cast<int>(std::thread::hardware_concurrency()));
  TextEncoding encoding{given.input, given.output};
  if (options.batch != 0) encoding.batch = options.batch;
  const std::int64_t count = encode_text(sampler::TorchScript(options.text), encoding);
  std::printf("%lld prompts encoded into %s\n", static_cast<long long>(count), given.output.c_str());
  return 0;
}

int encode_pictures(Options options) {
  launch::install_job_signal_handlers();
  if (options.batch != 0) options.latents.batch = options.batch;
  return cluster::run_with_ranks([&](cluster::Communicator& world) { return encode_latents(options.latents, world); });
}

int program(int argc, const char* const* argv) {
  CLI::App app(
      "Encode a set with a TorchScript encoder: its pictures as latents, or its prompts.\n"
      "Example: mpirun -n 8 pathline data encode imagenet.h5 -o latents.h5 --encoder vae.ts --moments --normalize sd1\n"
      "         pathline data encode --text encoder.ts tokenized.h5 -o described.h5",
      "pathline data encode");
  Options options;
  add_options(app, options);
  return run_cli(app, argc, argv, [&] {
    PL_CHECK(!options.text.empty() || !options.latents.encoder.empty(), core::ExitCode::kUsage,
             "nothing says what to encode. Give --encoder NETWORK.ts for pictures, or --text NETWORK.ts for prompts.");
    return options.text.empty() ? encode_pictures(options) : encode_prompts(options);
  });
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) { return pathline::apps::program(argc, argv); }
