// SPDX-License-Identifier: Apache-2.0
// What a rank has been asked for so far (trainer/training_run.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "cluster/communicator.h"
#include "trainer/training_run.h"

namespace pathline::trainer {

class Asked {
 public:
  explicit Asked(const std::function<Requests()>& requests) : requests_(requests) {}

  /// Looks whether there is something new.
  void note() {
    const Requests requests = requests_();
    stop_ |= requests.stop;
    checkpoint_ |= requests.checkpoint;
  }
  /// Stays true.
  bool stop() const { return stop_; }
  /// True once a request.
  bool take_checkpoint() { return std::exchange(checkpoint_, false); }
  /// Whether any rank was asked to stop by now: then nothing is begun that a checkpoint could do without. All ranks.
  bool stop_anywhere(cluster::Communicator& ranks) {
    note();
    std::int64_t asked = stop() ? 1 : 0;
    ranks.all_reduce(std::span(&asked, 1), cluster::Reduction::kMax);
    return asked > 0;
  }

 private:
  const std::function<Requests()>& requests_;
  bool stop_ = false, checkpoint_ = false;
};

}  // namespace pathline::trainer
