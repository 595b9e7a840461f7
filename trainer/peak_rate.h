// SPDX-License-Identifier: Apache-2.0
// How many floating-point operations a second the machine could do at best: what achieved rates are compared with.
#pragma once

#include <c10/core/Device.h>

#include <optional>
#include <string>
#include <string_view>

#include "cluster/communicator.h"
#include "trainer/options.h"

namespace pathline::trainer {

/// The dense rate that the vendor publishes for a GPU (FLOP/s), by the name its driver gives ("NVIDIA H100 80GB HBM3").
/// `precision` is "bf16", "tf32" or "fp32". None for devices that the table does not know.
std::optional<double> published_peak(std::string_view device_name, std::string_view precision);

/// The best of some products of square matrices on this device with the current threads (at::set_num_threads), in
/// FLOP/s; takes about `seconds`. `precision` is "bf16" or "fp32". What others do to the machine meanwhile lowers it.
double measured_peak(const std::string& precision, at::Device device, double seconds);

/// All ranks' devices together: published where the table knows them, else measured on all ranks at the same time,
/// since they share the machine. Collective.
double peak_of_ranks(const TrainOptions& train, at::Device device, cluster::Communicator& ranks, double seconds);

}  // namespace pathline::trainer
