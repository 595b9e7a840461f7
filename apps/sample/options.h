// SPDX-License-Identifier: Apache-2.0
// The command line of `pathline sample`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sampler/generate.h"
#include "sampler/gpu_field.h"

namespace CLI {
class App;
}

namespace pathline::apps {

struct SampleOptions {
  std::string checkpoint, output, labels, ema, decoder, guide_with, guidance_interval, classifier, trajectories, path;
  std::string moments, features;
  std::string mask;                // a set of which a part is known: the rest is filled in
  std::string encode, start;       // sets whose rows samples start from: data to noise, or noise that is there already
  double classifier_scale = 1.0;   // of `classifier`, where there is one
  std::string precision = "fp32";  // of the network: fp32 | bf16
  std::string device = "auto";     // auto | cpu | cuda
  bool cuda_graph = true;
  std::int64_t first = 0, count = 0;  // ids [first, first + count)
  std::string slots;                  // a number, "auto", or empty: by count
  std::int64_t threads = 0;           // 0: as the job began, else 1 under a launcher and all cores alone
  std::int64_t part_size = 0;         // samples in a part at most; 0: about 10 s of work
  std::uint64_t seed = 0;
  sampler::SolverOptions solver;
  std::optional<double> t0, t1;  // only between these times of the path
  bool pairs = false;
  bool overwrite = false;             // a set of another job
  std::optional<std::int64_t> trace;  // the sample whose steps are printed; no set is made then
  std::string text;  // file of encoded prompts
  bool json = false;
  bool steps_given = false, tolerance_given = false;
};

/// Adds all options to `app`; `options` must outlive it.
void add_sample_options(CLI::App& app, SampleOptions& options);

inline sampler::Launch launch_of(const SampleOptions& options) {
  return options.cuda_graph ? sampler::Launch::kGraph : sampler::Launch::kEager;
}

/// --device and --no-cuda-graph, which a pool's worker has, too.
void add_device_options(CLI::App& app, std::string& device, bool& cuda_graph);

/// Throws ExitCode::kUsage for values out of range; says which options have no effect.
void check_sample_options(const SampleOptions& options);

}  // namespace pathline::apps
