// SPDX-License-Identifier: Apache-2.0
// The optimizer's pass beside what this machine's memory allows and beside ATen's passes, in one run: every round times
// every contestant once, ratios are taken within a round. Networks are SiT-S/2 and SiT-B/2 (33 M and 130 M parameters).
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/block_layout.h"
#include "cluster/block_norm.h"
#include "cluster/reduction_tree.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/text.h"
#include "trainer/update_kernel.h"

namespace pathline {
namespace {

constexpr std::int64_t kGrain = 16384;
constexpr float kLr = 1e-4f, kAverage = 1e-4f;

/// Shapes of a SiT of depth 12 and patch 2 on 4 x 32 x 32 latents with 1000 classes and the null class.
std::vector<std::vector<std::int64_t>> sit_shapes(std::int64_t h) {
  std::vector<std::vector<std::int64_t>> shapes = {{h, 4, 2, 2}, {h}, {h, 256}, {h}, {h, h}, {h}, {1001, h}};
  for (int block = 0; block < 12; ++block) {
    for (const auto& [out, in] : {std::pair{3 * h, h}, {h, h}, {4 * h, h}, {h, 4 * h}, {6 * h, h}}) {
      shapes.push_back({out, in});
      shapes.push_back({out});
    }
  }
  for (const std::int64_t out : {2 * h, std::int64_t{32}}) {
    shapes.push_back({out, h});
    shapes.push_back({out});
  }
  return shapes;
}

/// All state of one network in flat arrays, and ATen's view of the same memory as lists of tensors.
struct State {
  explicit State(std::int64_t hidden) {
    const auto shapes = sit_shapes(hidden);
    for (const auto& shape : shapes) elements += c10::multiply_integers(shape);
    elements = static_cast<std::int64_t>(cluster::padded_size(static_cast<std::size_t>(elements)));
    for (auto* flat : {&gradient, &master, &m, &v, &average, &average2}) *flat = at::full({elements}, 0.01, at::kFloat);
    bf16 = at::zeros({elements}, at::kBFloat16);
    for (std::size_t array = 0; array < 5; ++array) {
      const at::Tensor flat[] = {gradient, master, m, v, average};
      std::int64_t at = 0;
      for (const auto& shape : shapes) {
        const std::int64_t count = c10::multiply_integers(shape);
        lists[array].push_back(flat[array].narrow(0, at, count).view(shape));
        at += count;
      }
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) steps.push_back(at::full({}, 1.0, at::kFloat));
  }
  trainer::ShardArrays arrays(std::size_t moments, std::size_t averages, bool with_bf16) const {
    trainer::ShardArrays shard{static_cast<std::size_t>(elements), data(gradient), data(master), {}, nullptr, {}};
    for (const auto& moment : {m, v})
      if (shard.moments.size() < moments) shard.moments.push_back(data(moment));
    for (const auto& a : {average, average2})
      if (shard.averages.size() < averages) shard.averages.push_back({data(a), kAverage});
    if (with_bf16) shard.bf16_parameter = static_cast<std::uint16_t*>(bf16.mutable_data_ptr());
    return shard;
  }
  static float* data(const at::Tensor& tensor) { return tensor.mutable_data_ptr<float>(); }

  std::int64_t elements = 0;
  at::Tensor gradient, master, m, v, average, average2, bf16;
  std::vector<at::Tensor> lists[5], steps;  // gradient, parameter, m, v, average
};

void triad(std::int64_t elements, const float* b, const float* c, float* a) {
  at::parallel_for(0, elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) a[i] = b[i] + 3.0f * c[i];
  });
}

/// Stores that do not read the line first: 12 bytes an element cross the bus where a plain triad moves 16.
void triad_streaming(std::int64_t elements, const float* b, const float* c, float* a) {
#ifdef __SSE__
  at::parallel_for(0, elements / 16, kGrain / 16, [&](std::int64_t begin, std::int64_t end) {
    const __m128 three = _mm_set1_ps(3.0f);
    for (std::int64_t i = 16 * begin; i < 16 * end; i += 4) {
      _mm_stream_ps(a + i, _mm_add_ps(_mm_loadu_ps(b + i), _mm_mul_ps(three, _mm_loadu_ps(c + i))));
    }
    _mm_sfence();
  });
#else
  triad(elements, b, c, a);
#endif
}

void clip(std::vector<at::Tensor>& gradients) {
  const at::Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)));
  at::_foreach_mul_(gradients, norm.add(1e-6).reciprocal().mul(1e6).clamp_max(1.0));  // as clip_grad_norm_: always
}

/// clip_grad_norm_, AdamW(fused=True), torch._foreach_lerp_.
void aten_tuned(State& s) {
  clip(s.lists[0]);
  at::_fused_adamw_(s.lists[1], s.lists[0], s.lists[2], s.lists[3], {}, s.steps, kLr, 0.9, 0.999, 0.0, 1e-8, false,
                    false);
  at::_foreach_lerp_(s.lists[4], s.lists[1], kAverage);
}

/// clip_grad_norm_, torch.optim.AdamW as it comes on a CPU, the loop over tensors of the published SiT.
void aten_usual(State& s) {
  clip(s.lists[0]);
  for (std::size_t i = 0; i < s.steps.size(); ++i) {
    const at::Tensor &g = s.lists[0][i], &p = s.lists[1][i], &m = s.lists[2][i], &v = s.lists[3][i];
    p.mul_(1.0);
    m.lerp_(g, 0.1);
    v.mul_(0.999).addcmul_(g, g, 0.001);
    const at::Tensor denominator = v.sqrt().div(0.03).add_(1e-8);
    p.addcdiv_(m, denominator, -kLr / 0.1);
  }
  for (std::size_t i = 0; i < s.steps.size(); ++i) s.lists[4][i].mul_(1.0 - kAverage).add_(s.lists[1][i], kAverage);
}

void last_tree_level(State& s, bool with_norm) {
  constexpr std::size_t kBlock = cluster::kBlock;
  at::parallel_for(0, s.elements / static_cast<std::int64_t>(kBlock), 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::size_t at = static_cast<std::size_t>(block) * kBlock;
      const std::span<float> left{State::data(s.average2) + at, kBlock};
      const std::span<const float> right{State::data(s.gradient) + at, kBlock};
      if (with_norm)
        cluster::add_and_sum_squares(left, right, left);
      else
        cluster::add(left, right, left);
    }
  });
}

struct Contestant {
  std::string name;
  double bytes;  // per parameter, each array counted once a read and once a write; 0: not counted
  std::function<void()> run;
  std::vector<double> seconds = {};
};

std::vector<Contestant> contestants(State& s) {
  const trainer::AdamWStep adamw{.gradient_scale = 0.5f, .lr = kLr, .correction1 = 0.5f, .root_correction2 = 0.5f};
  const trainer::LionStep lion{.gradient_scale = 0.5f, .lr = kLr};
  float *a = State::data(s.average2), *b = State::data(s.gradient), *c = State::data(s.average);
  const auto ours = [&s, adamw](std::size_t averages, bool bf16) {
    return [shard = s.arrays(2, averages, bf16), adamw] { trainer::update_adamw(adamw, shard); };
  };
  return {{"triad a = b + 3 c", 12, [=, &s] { triad(s.elements, b, c, a); }},
          {"triad, streaming stores", 12, [=, &s] { triad_streaming(s.elements, b, c, a); }},
          {"triad in place a = a + 3 b", 12, [=, &s] { triad(s.elements, a, b, a); }},
          {"pathline fp32, 1 average", 36, ours(1, false)},
          {"pathline fp32, 2 averages", 44, ours(2, false)},
          {"pathline bf16, 1 average", 38, ours(1, true)},
          {"pathline bf16, 2 averages", 46, ours(2, true)},
          {"pathline lion fp32, 1 average", 28,
           [shard = s.arrays(1, 1, false), lion] { trainer::update_lion(lion, shard); }},
          {"last tree level", 12, [&s] { last_tree_level(s, false); }},
          {"last tree level and norm", 12, [&s] { last_tree_level(s, true); }},
          {"ATen clip, fused AdamW, foreach average", 0, [&s] { aten_tuned(s); }},
          {"ATen clip, AdamW and average in loops", 0, [&s] { aten_usual(s); }}};
}
constexpr std::size_t kTriads = 3, kOurs = 3, kNorm = 9, kLevel = 8;

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))];
}

void time_rounds(std::vector<Contestant>& all, int rounds) {
  for (auto& one : all) one.run();
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      Contestant& one = all[(i + static_cast<std::size_t>(round)) % all.size()];
      const double start = core::monotonic_seconds();
      one.run();
      one.seconds.push_back(core::monotonic_seconds() - start);
    }
  }
}

/// Median over rounds of value(round).
template <typename Value>
double median_of(int rounds, const Value& value) {
  std::vector<double> values;
  for (int round = 0; round < rounds; ++round) values.push_back(value(static_cast<std::size_t>(round)));
  return quantile(values, 0.5);
}

nlohmann::json report(const std::string& network, std::int64_t elements, int rounds,
                      const std::vector<Contestant>& all) {
  const double millions = static_cast<double>(elements) / 1e6;
  std::printf("\n%s, %.1f M parameters, %d threads, %d rounds\n%-42s %8s %8s %8s %10s %8s %8s\n", network.c_str(),
              millions, at::get_num_threads(), rounds, "", "ns/param", "25 %", "75 %", "bytes", "GB/s", "of bound");
  const auto best_rate = [&](std::size_t round) {
    double rate = 0;
    for (std::size_t t = 0; t < kTriads; ++t) rate = std::max(rate, all[t].bytes / all[t].seconds[round]);
    return rate;
  };
  nlohmann::json lines = nlohmann::json::array();
  for (const auto& one : all) {
    const double scale = 1e9 / static_cast<double>(elements);
    const double ns = quantile(one.seconds, 0.5) * scale;
    const double low = quantile(one.seconds, 0.25) * scale, high = quantile(one.seconds, 0.75) * scale;
    const double share = median_of(rounds, [&](std::size_t r) { return one.bytes / one.seconds[r] / best_rate(r); });
    std::printf("%-42s %8.3f %8.3f %8.3f %10.0f %8.1f %7.0f%%\n", one.name.c_str(), ns, low, high, one.bytes,
                one.bytes / ns, 100 * share);
    lines.push_back({{"network", network},
                     {"parameters", elements},
                     {"threads", at::get_num_threads()},
                     {"name", one.name},
                     {"ns_per_parameter", ns},
                     {"quartiles", {low, high}},
                     {"bytes", one.bytes},
                     {"share_of_triad", share}});
  }
  const auto faster = [&](std::size_t torch) {  // with what the norm adds to the last tree level
    return median_of(rounds, [&](std::size_t r) {
      return all[torch].seconds[r] /
             (all[kOurs].seconds[r] + std::max(0.0, all[kNorm].seconds[r] - all[kLevel].seconds[r]));
    });
  };
  const double tuned = faster(all.size() - 2), usual = faster(all.size() - 1);
  std::printf("fp32, 1 average, norm included: %.2f times as fast as ATen fused, %.2f times as the loops\n", tuned,
              usual);
  lines.push_back({{"network", network}, {"times_as_fast_as_fused", tuned}, {"times_as_fast_as_loops", usual}});
  return lines;
}

int run(int argc, char** argv) {
  int rounds = 15, threads = at::get_num_threads();
  std::string json_file, only;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--rounds")
      rounds = static_cast<int>(core::parse_integer(value, option));
    else if (option == "--threads")
      threads = static_cast<int>(core::parse_integer(value, option));
    else if (option == "--network")
      only = value;
    else if (option == "--json")
      json_file = value;
    else
      throw core::Error(core::ExitCode::kUsage,
                        "no option " + option + ". Use --network, --threads, --rounds or --json.");
  }
  at::set_num_threads(threads);
  const c10::NoGradGuard no_gradients;
  nlohmann::json lines = nlohmann::json::array();
  for (const auto& [name, hidden] : {std::pair<std::string, std::int64_t>{"SiT-S/2", 384}, {"SiT-B/2", 768}}) {
    if (!only.empty() && only != name) continue;
    State state(hidden);
    auto all = contestants(state);
    time_rounds(all, rounds);
    for (auto& line : report(name, state.elements, rounds, all)) lines.push_back(line);
  }
  if (!json_file.empty()) std::ofstream(json_file) << lines.dump(1) << '\n';
  return 0;
}

}  // namespace
}  // namespace pathline

int main(int argc, char** argv) {
  return pathline::core::run_program([&] { return pathline::run(argc, argv); });
}
