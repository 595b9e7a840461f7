// SPDX-License-Identifier: Apache-2.0
#include "apps/train/plan_report.h"

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/text.h"
#include "trainer/telemetry.h"

namespace pathline::apps {
namespace {

using nlohmann::ordered_json;

std::string bytes(double count) { return core::human_bytes(static_cast<std::uint64_t>(count)); }

std::string seconds(double count) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g s", count);
  return text;
}

std::string share(double part, double whole) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%", whole > 0 ? 100 * part / whole : 0.0);
  return text;
}

std::size_t total(const std::vector<trainer::MemoryUse>& memory) {
  std::size_t sum = 0;
  for (const auto& use : memory) sum += use.bytes;
  return sum;
}

ordered_json json_of(const cluster::Traffic& traffic) {
  return {{"messages", traffic.messages},
          {"bytes_within_nodes", traffic.bytes_within_nodes},
          {"bytes_between_nodes", traffic.bytes_between_nodes}};
}

std::string text_of(const cluster::Traffic& traffic) {
  return core::concat(bytes(static_cast<double>(traffic.bytes_within_nodes)), " within nodes, ",
                      bytes(static_cast<double>(traffic.bytes_between_nodes)), " between nodes, ", traffic.messages,
                      " messages");
}

}  // namespace

std::string plan_text(const trainer::Plan& plan) {
  const auto [smallest, largest] = std::minmax_element(plan.buckets.begin(), plan.buckets.end());
  const trainer::StepPrediction& step = plan.step;
  const std::string a_rank = plan.fewest_slices == plan.most_slices
                                 ? std::to_string(plan.most_slices)
                                 : core::concat(plan.fewest_slices, " to ", plan.most_slices);
  const auto ranks = static_cast<double>(plan.ranks);
  const double places = ranks * static_cast<double>(plan.most_slices);
  std::ostringstream out;
  out.precision(4);
  out << "ranks          " << plan.ranks << ", " << plan.ranks_per_node << " a node\n"
      << "parameters     " << static_cast<double>(plan.parameters) / 1e6 << " M in " << plan.buckets.size()
      << " buckets of " << bytes(4.0 * static_cast<double>(*smallest)) << " to "
      << bytes(4.0 * static_cast<double>(*largest)) << " (fp32)\n"
      << "slices         " << plan.slices << ", " << a_rank << " a rank ("
      << share(places - static_cast<double>(plan.slices), places) << " of the machine waits)\n"
      << "memory         " << bytes(static_cast<double>(total(plan.memory))) << " on rank " << plan.fullest_rank
      << ", the fullest, without activations\n";
  for (const auto& use : plan.memory) {
    if (use.bytes == 0) continue;
    out << "  " << std::left << std::setw(13) << use.kind << bytes(static_cast<double>(use.bytes)) << "\n";
  }
  if (plan.activation_bytes_estimate) {
    out << "  activations  about " << bytes(*plan.activation_bytes_estimate)
        << " (an estimate: one pass measured here)\n";
  }
  out << "wire a step    reduction: " << text_of(plan.reduce) << "\n"
      << "               gather: " << text_of(plan.gather) << "\n"
      << "checkpoint     " << bytes(plan.checkpoint_bytes) << ", at most " << bytes(plan.checkpoint_rank_bytes)
      << " by a rank\n"
      << "work a step    " << plan.flops_per_step / 1e12 << " TFLOP (model); a rank does "
      << trainer::human_flops_rate(plan.flops_per_second) << ", its update " << plan.memory_gbytes << " GB/s\n"
      << "time a step    about " << seconds(step.seconds) << ", "
      << trainer::human_flops_rate(plan.flops_per_step / step.seconds) << "\n"
      << "               compute " << seconds(step.compute_seconds) << ", update " << seconds(step.update_seconds)
      << ", reduction " << seconds(step.reduce_seconds) << " (exposed " << seconds(step.reduce_exposed_seconds)
      << "), gather " << seconds(step.gather_seconds) << " (exposed " << seconds(step.gather_exposed_seconds) << ")\n";
  return out.str();
}

std::string plan_json(const trainer::Plan& plan) {
  const trainer::StepPrediction& step = plan.step;
  ordered_json memory;
  for (const auto& use : plan.memory) memory[use.kind] = use.bytes;
  ordered_json json = {{"ranks", plan.ranks},
                       {"ranks_per_node", plan.ranks_per_node},
                       {"parameters", plan.parameters},
                       {"slices", {{"all", plan.slices}, {"fewest", plan.fewest_slices}, {"most", plan.most_slices}}},
                       {"bucket_elements", plan.buckets},
                       {"fullest_rank", plan.fullest_rank},
                       {"memory_bytes", memory},
                       {"memory_total_bytes", total(plan.memory)},
                       {"activation_bytes_estimate", nullptr},
                       {"reduce", json_of(plan.reduce)},
                       {"gather", json_of(plan.gather)},
                       {"checkpoint_bytes", plan.checkpoint_bytes},
                       {"checkpoint_rank_bytes", plan.checkpoint_rank_bytes},
                       {"model_flops_per_step", plan.flops_per_step},
                       {"flops_per_second_a_rank", plan.flops_per_second},
                       {"memory_gbytes_a_rank", plan.memory_gbytes},
                       {"step_seconds",
                        {{"step", step.seconds},
                         {"compute", step.compute_seconds},
                         {"reduce", step.reduce_seconds},
                         {"reduce_exposed", step.reduce_exposed_seconds},
                         {"update", step.update_seconds},
                         {"gather", step.gather_seconds},
                         {"gather_exposed", step.gather_exposed_seconds}}}};
  if (plan.activation_bytes_estimate) json["activation_bytes_estimate"] = *plan.activation_bytes_estimate;
  return json.dump() + "\n";
}

}  // namespace pathline::apps
