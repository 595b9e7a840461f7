#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what guided-diffusion computes for a fixed noise predictor, as numbers that tests/sampler/discrete_test.cc
compares with.

    pip install torch numpy; git clone https://github.com/openai/guided-diffusion
    scripts/diffusion_parity.py guided-diffusion > tests/sampler/guided_diffusion_golden.h

Predictor, in 8 dimensions, indices modulo 8, t the original timestep: noise_i = tanh(0.8 x_i + 0.3 x_{i+1}) + 0.1 cos(t /
500), variance v_i = sin(x_i + t / 300). Draw k of the sampler: 1.5 sin(12.9898 (i + 1) + 78.233 (k + 1)).
"""
import sys

import torch

sys.path.insert(0, sys.argv[1])
from guided_diffusion import gaussian_diffusion as gd  # noqa: E402
from guided_diffusion.respace import SpacedDiffusion, space_timesteps  # noqa: E402

START = [0.3, -1.2, 0.8, 1.5, -0.4, -0.9, 2.0, 0.1]
SPACINGS = ["10", "250", "10,15,20", "3,3,4", "ddim50", "ddim10"]
# solver, schedule (ours), spacing, variance, clip, eta
CASES = [
    ("ddpm", "ddpm-linear", "10", "fixed-small", True, 0.0),
    ("ddpm", "ddpm-linear", "10", "fixed-large", False, 0.0),
    ("ddpm", "cosine", "10", "learned-range", True, 0.0),
    ("ddpm", "ddpm-linear", "3,3,4", "learned-range", False, 0.0),
    ("ddim", "ddpm-linear", "ddim10", "fixed-small", True, 0.0),
    ("ddim", "ddpm-linear", "10", "fixed-small", False, 0.0),
    ("ddim", "cosine", "10", "fixed-small", True, 0.7),
    ("ddim", "ddpm-linear", "ddim10", "learned-range", True, 1.0),
]
VARIANCES = {
    "fixed-small": gd.ModelVarType.FIXED_SMALL,
    "fixed-large": gd.ModelVarType.FIXED_LARGE,
    "learned-range": gd.ModelVarType.LEARNED_RANGE,
}


def numbers(values):
    return "{" + ", ".join(f"{float(v):.9g}" for v in values) + "}"


class Draws:
    """Stands in for torch.randn_like: the sampler's k-th draw."""

    def __init__(self):
        self.k = 0

    def __call__(self, x):
        i = torch.arange(x.numel(), dtype=torch.float64)
        self.k += 1
        return (1.5 * torch.sin(12.9898 * (i + 1) + 78.233 * self.k)).to(x.dtype).view_as(x)


def predictor(learned):
    def model(x, t):
        t = t.double().view(-1, 1, 1, 1)
        noise = torch.tanh(0.8 * x + 0.3 * torch.roll(x, -1, 1)) + 0.1 * torch.cos(t / 500).float()
        return torch.cat([noise, torch.sin(x + (t / 300).float())], 1) if learned else noise

    return model


def end_of(solver, schedule, spacing, variance, clip, eta):
    diffusion = SpacedDiffusion(
        use_timesteps=space_timesteps(1000, spacing),
        betas=gd.get_named_beta_schedule({"ddpm-linear": "linear", "cosine": "cosine"}[schedule], 1000),
        model_mean_type=gd.ModelMeanType.EPSILON,
        model_var_type=VARIANCES[variance],
        loss_type=gd.LossType.MSE,
    )
    x = torch.tensor(START, dtype=torch.float32).view(1, 8, 1, 1)
    torch.randn_like, original = Draws(), torch.randn_like
    try:
        options = dict(noise=x, clip_denoised=clip, device="cpu")
        model = predictor(variance == "learned-range")
        if solver == "ddpm":
            return diffusion.p_sample_loop(model, x.shape, **options).flatten()
        return diffusion.ddim_sample_loop(model, x.shape, eta=eta, **options).flatten()
    finally:
        torch.randn_like = original


def main():
    print("// SPDX-License-Identifier: Apache-2.0")
    print("// Made by scripts/diffusion_parity.py with guided-diffusion; see there for the predictor and the draws.")
    print("#pragma once\n\n#include <cstdint>\n#include <vector>\n\nnamespace pathline::tests::guided_diffusion_golden {\n")
    print(f"inline const std::vector<double> kStart = {numbers(START)};\n")
    print("struct Spacing {\n  const char* text;\n  std::vector<std::int64_t> times;  // the first and last four\n"
          "  std::int64_t count;\n};\n")
    print("inline const std::vector<Spacing> kSpacings = {")
    for spacing in SPACINGS:
        times = sorted(space_timesteps(1000, spacing))
        ends = ", ".join(str(t) for t in times[:4] + times[-4:])
        print(f'    {{"{spacing}", {{{ends}}}, {len(times)}}},')
    print("};\n")
    print("struct Case {\n  const char *solver, *schedule, *spacing, *variance;\n  bool clip;\n  double eta;\n"
          "  std::vector<double> end;\n};\n")
    print("inline const std::vector<Case> kCases = {")
    for case in CASES:
        solver, schedule, spacing, variance, clip, eta = case
        print(f'    {{"{solver}", "{schedule}", "{spacing}", "{variance}", {"true" if clip else "false"}, {eta},')
        print(f"     {numbers(end_of(*case))}}},")
    print("};\n\n}  // namespace pathline::tests::guided_diffusion_golden")


if __name__ == "__main__":
    main()
