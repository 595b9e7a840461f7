// SPDX-License-Identifier: Apache-2.0
// What the output F of a network means on a path, what it is trained to be, with which weight, and which velocity it
// implies. Formulas: Ma et al., "SiT" (arXiv 2401.08740), section 2; Karras et al. (arXiv 2206.00364), Table 1.
#pragma once

#include <string>

#include "flow/path.h"

namespace pathline::flow {

struct TimeInterval {
  double first = 0, last = 1;
};

/// A row of training at one time, all linear in data x1 and noise x0.
struct TrainingRow {
  double input_x1 = 0, input_x0 = 0;    // what the network is given
  double time = 0;                      // with it
  double target_x1 = 0, target_x0 = 0;  // what it should answer
  double weight = 1;                    // of the squared error
};

/// What the network is given at state x of time t, and the velocity that its answer F implies:
/// v = velocity_x x + velocity_f F.
struct SamplingRow {
  double input = 1;  // x is multiplied by it
  double time = 0;
  double velocity_x = 0, velocity_f = 1;
};

class Parameterisation {
 public:
  /// `predict`: velocity | x1 | noise | score | edm[:deviation of the data, 0.5] | ddpm: the noise, by a network that
  /// is given x / sqrt(a^2 + s^2) and the linear path's time of the same noise level, on whatever path; with
  /// model.time_input = "ddpm999" that is what DiT and ADM are given. `weight`: auto (1; s^2 for score) |
  /// none | velocity | likelihood | sigma2 | edm, where a name other than none measures the error as that of the
  /// velocity, of the likelihood's bound (SiT, Eq. 14), of s F, or of EDM's weighting of x1. Throws
  /// ExitCode::kUsage for unknown ones and for those that make no sense on this path.
  Parameterisation(const Path& path, const std::string& predict, const std::string& weight);

  TrainingRow training_row(double t) const;
  SamplingRow sampling_row(double t) const;

  bool predicts_velocity() const { return predict_ == Predict::kVelocity; }
  /// Is noise left where the integral over sampling_times() ends, other than what the path means to leave?
  bool ends_on_noise() const { return sampling_times().last < 1 || (!predicts_velocity() && !path_.ends_on_data()); }
  /// Is the network given the time as it is (not as flow time, which model.time_input translates)?
  bool gives_own_time() const { return predict_ == Predict::kEdm; }
  /// Times that training draws: short of an end where target or weight has no bound.
  TimeInterval training_times() const;
  /// Times between which the velocity can be integrated.
  TimeInterval sampling_times() const;
  const Path& path() const { return path_; }

 private:
  enum class Predict { kVelocity, kX1, kNoise, kScore, kEdm, kDdpm };
  enum class Weight { kAuto, kNone, kVelocity, kLikelihood, kSigma2, kEdm };

  double weight_at(const PathPoint& p) const;
  double velocity_by_answer(const PathPoint& p) const;

  Path path_;
  Predict predict_ = Predict::kVelocity;
  Weight weight_ = Weight::kAuto;
  double data_deviation_ = 0.5;
};

}  // namespace pathline::flow
