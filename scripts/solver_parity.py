#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what torchdiffeq computes for a fixed field, as numbers that tests/sampler/solver_parity_test.cc compares with.

    pip install torch torchdiffeq==0.2.5
    scripts/solver_parity.py > tests/sampler/torchdiffeq_golden.h

Field, in 8 dimensions: v_i = sin(3 x_i) + cos(5 t) x_{i+1}, indices modulo 8; from t = 0 to 1; a batch of one.
"""
import torch
import torchdiffeq
from torchdiffeq._impl import misc

START = [0.3, -1.2, 0.8, 1.5, -0.4, -0.9, 2.0, 0.1]
TOLERANCES = [1e-3, 1e-4, 1e-5, 1e-6]


class Field:
    def __init__(self):
        self.times = []

    def __call__(self, t, x):
        self.times.append(float(t))
        return torch.sin(3 * x) + torch.cos(5 * t.to(x.dtype)) * torch.roll(x, -1)


def numbers(values):
    return "{" + ", ".join(f"{float(v):.17g}" for v in values) + "}"


def fixed_steps(method, steps):
    x = torch.tensor(START, dtype=torch.float32)
    return torchdiffeq.odeint(Field(), x, torch.linspace(0, 1, steps + 1), method=method)[-1]


def adaptive(tolerance, dtype):
    field = Field()
    x = torch.tensor(START, dtype=dtype)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    end = torchdiffeq.odeint(field, x, t, rtol=tolerance, atol=tolerance, method="dopri5")[-1]
    return end, field.times


def first_step(tolerance):
    x = torch.tensor(START, dtype=torch.float64)
    t = torch.tensor(0.0, dtype=torch.float64)
    return misc._select_initial_step(Field(), t, x, 4, tolerance, tolerance, misc._rms_norm)


def next_step(ratio):
    number = lambda value: torch.tensor(value, dtype=torch.float64)
    return misc._optimal_step_size(number(0.1), number(ratio), number(0.9), number(10.0), number(0.2), 5)


def main():
    print("// SPDX-License-Identifier: Apache-2.0")
    print(f"// Made by scripts/solver_parity.py with torchdiffeq {torchdiffeq.__version__}; see there for the field.")
    print("#pragma once\n\n#include <vector>\n\nnamespace pathline::tests::torchdiffeq_golden {\n")
    print(f"inline const std::vector<double> kStart = {numbers(START)};\n")
    print("struct FixedSteps {\n  const char* solver;  // our name\n  int steps;\n  std::vector<double> end;  // fp32\n};")
    print("inline const std::vector<FixedSteps> kFixedSteps = {")
    for ours, method in [("euler", "euler"), ("midpoint", "midpoint"), ("heun", "heun2"), ("rk4_38", "rk4")]:
        print(f'    {{"{ours}", 10, {numbers(fixed_steps(method, 10))}}},')
    print("};\n")
    print("struct Adaptive {\n  double tolerance;  // rtol = atol\n  double first_step;\n"
          "  std::vector<double> end, end_fp32;\n  std::vector<double> times;  // of every evaluation, fp64\n};")
    print("inline const std::vector<Adaptive> kAdaptive = {")
    for tolerance in TOLERANCES:
        end, times = adaptive(tolerance, torch.float64)
        end_fp32, _ = adaptive(tolerance, torch.float32)
        print(f"    {{{tolerance:g}, {float(first_step(tolerance)):.17g}, {numbers(end)},\n     {numbers(end_fp32)},\n"
              f"     {numbers(times)}}},")
    print("};\n")
    print("struct NextStep {\n  double ratio, next;  // after a step of 0.1\n};")
    print("inline const std::vector<NextStep> kNextSteps = {")
    for ratio in [0.0, 1e-12, 0.3, 0.999, 1.0, 1.001, 2.0, 50.0, 1e9]:
        print(f"    {{{ratio:g}, {float(next_step(ratio)):.17g}}},")
    print("};\n\n}  // namespace pathline::tests::torchdiffeq_golden")


if __name__ == "__main__":
    main()
