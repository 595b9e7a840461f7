// SPDX-License-Identifier: Apache-2.0
// Made by scripts/diffusion_parity.py with guided-diffusion; see there for the predictor and the draws.
#pragma once

#include <cstdint>
#include <vector>

namespace pathline::tests::guided_diffusion_golden {

inline const std::vector<double> kStart = {0.3, -1.2, 0.8, 1.5, -0.4, -0.9, 2, 0.1};

struct Spacing {
  const char* text;
  std::vector<std::int64_t> times;  // the first and last four
  std::int64_t count;
};

inline const std::vector<Spacing> kSpacings = {
    {"10", {0, 111, 222, 333, 666, 777, 888, 999}, 10},     {"250", {0, 4, 8, 12, 987, 991, 995, 999}, 250},
    {"10,15,20", {0, 37, 74, 111, 947, 964, 982, 999}, 45}, {"3,3,4", {0, 166, 333, 334, 667, 778, 888, 999}, 10},
    {"ddim50", {0, 20, 40, 60, 920, 940, 960, 980}, 50},    {"ddim10", {0, 100, 200, 300, 600, 700, 800, 900}, 10},
};

struct Case {
  const char *solver, *schedule, *spacing, *variance;
  bool clip;
  double eta;
  std::vector<double> end;
};

inline const std::vector<Case> kCases = {
    {"ddpm",
     "ddpm-linear",
     "10",
     "fixed-small",
     true,
     0.0,
     {-0.169816673, -0.228375733, -0.351516575, -0.156934753, -0.134202018, -0.254055411, -0.0524229705,
      -0.0511821508}},
    {"ddpm",
     "ddpm-linear",
     "10",
     "fixed-large",
     false,
     0.0,
     {28.875843, -53.5843887, -11.5740328, 23.544323, 31.8608971, -85.9486237, 93.8757782, -12.7589273}},
    {"ddpm",
     "cosine",
     "10",
     "learned-range",
     true,
     0.0,
     {0.0410034694, -0.282876432, -0.224536449, -0.225278705, -0.0652222112, -0.2814354, 0.0276287254, -0.184472352}},
    {"ddpm",
     "ddpm-linear",
     "3,3,4",
     "learned-range",
     false,
     0.0,
     {33.0144501, -53.8305511, -13.2915897, 21.7313499, 27.3529396, -92.1349869, 90.3758392, -15.722477}},
    {"ddim",
     "ddpm-linear",
     "ddim10",
     "fixed-small",
     true,
     0.0,
     {0.883378088, -1, 0.042233061, 1, 0.3807697, -1, 1, -0.64770925}},
    {"ddim",
     "ddpm-linear",
     "10",
     "fixed-small",
     false,
     0.0,
     {38.2699318, -69.4952393, -3.20707107, 105.141975, 32.0273781, -87.3011932, 169.619598, -15.243804}},
    {"ddim",
     "cosine",
     "10",
     "fixed-small",
     true,
     0.7,
     {0.568866849, -0.850728869, -0.390312046, 0.434714913, -0.00265144184, -0.952432632, 0.770886481, -0.386167377}},
    {"ddim",
     "ddpm-linear",
     "ddim10",
     "learned-range",
     true,
     1.0,
     {-0.0699189901, -0.211691946, -0.413176596, -0.103981733, -0.0687634051, -0.398777872, 0.0604653433,
      -0.128602713}},
};

}  // namespace pathline::tests::guided_diffusion_golden
