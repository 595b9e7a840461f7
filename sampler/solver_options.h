// SPDX-License-Identifier: Apache-2.0
// What a user chooses about a solver. Every field has the name of its option on the command line (docs/sampling.md).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace pathline::sampler {

struct SolverOptions {
  std::string solver = "dopri5";
  std::int64_t steps = 50;          // of solvers whose steps are given
  double rtol = 1e-5, atol = 1e-5;  // of solvers that choose their steps
  std::string path = "linear";      // that the field belongs to, as flow::Path::parse()
  double t0 = 0.0, t1 = 1.0;
  double start_scale = 1.0;  // what the start is multiplied by: a path's deviation at t0
  bool denoise = false;      // after t1 one evaluation more, which ends on the data that the velocity points to there
  std::int64_t max_steps = 10000;  // chosen steps tried, then the sample has failed
  std::string grid = "uniform";    // uniform | cosine | edm | shift:K | "0,0.2,...,1"; of given steps
  std::string controller = "i";    // i | pi | pid; of chosen steps

  double guidance = 1.0;                          // W in v_null + W (v_cond - v_null); 1 costs one evaluation, else two
  std::vector<double> guidance_weights;           // id i takes entry i mod size; empty: `guidance` for all
  double guidance_from = 0.0, guidance_to = 1.0;  // times of flow between which there is guidance
  std::int64_t guidance_channels = 0;             // only the first so many channels are guided; 0: all
  double classifier_scale = 0.0;                  // of a classifier's gradient; 0: none

  std::string diffusion = "sigma";  // constant[:c] | sbdm | sigma | linear | decreasing | inc-dec; of em, sheun, pc
  std::string last_step;            // em, sheun, pc: mean (default) | tweedie | euler | none; Runge-Kutta: euler
  double last_step_size = -1;       // em, sheun, pc; -1: 0.04, or 0.001 with last_step none
  double snr = 0.16;                // of pc's corrector

  double eta = 0.0;                 // of ddim for noise predictors: share of ddpm's noise
  std::string noise_schedule = "";  // ddpm-linear | cosine: the field predicts noise at discrete times; "": velocity
  std::string respacing;            // guided-diffusion's: "250", "10,15,20", "ddim50"; empty: from `steps`
  std::string variance = "fixed-small";  // fixed-small | fixed-large | learned-range; of ddpm
  bool clip_denoised = true;

  std::vector<double> trajectories;  // times at which the state is kept, in the order in which they are passed

  /// The last so many elements of a row are a part of their own for the error control (likelihood).
  std::int64_t tail = 0;

  bool guides() const { return weighs() || classifier_scale != 0.0; }
  /// Is there a weight other than 1?
  bool weighs() const {
    if (guidance_weights.empty()) return guidance != 1.0;
    return std::ranges::any_of(guidance_weights, [](double weight) { return weight != 1.0; });
  }
  /// Of sample `id`.
  double guidance_of(std::int64_t id) const {
    if (guidance_weights.empty()) return guidance;
    return guidance_weights[static_cast<std::size_t>(id) % guidance_weights.size()];
  }
};

}  // namespace pathline::sampler
