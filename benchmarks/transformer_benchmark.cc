// SPDX-License-Identifier: Apache-2.0
// Forward and backward of one slice of a transformer in fp32 and bf16 (cases: benchmarks/README.md), beside the rate of
// a 2048 matrix product in the same process. The two take turns; the best of all rounds counts. Seconds are those of
// the processors (user and kernel time of all threads over the number of threads): other programs disturb them less.
//   transformer_benchmark [threads] [rounds] [case ...]     cases: d16 d64 e a
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "model/flops.h"
#include "model/velocity_model.h"

namespace pathline {
namespace {

struct Case {
  std::int64_t input_size, channels, patch, hidden, depth, heads, batch;
};

const std::map<std::string, Case> kCases = {{"d16", {32, 3, 4, 256, 6, 4, 16}},
                                            {"d64", {32, 3, 4, 256, 6, 4, 64}},
                                            {"e", {32, 3, 4, 256, 6, 4, 2}},
                                            {"a", {32, 4, 2, 384, 12, 6, 8}}};

double processor_seconds() {
  rusage usage;
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return (seconds(usage.ru_utime) + seconds(usage.ru_stime)) / at::get_num_threads();
}

template <class Work>
double seconds_of(const Work& work) {
  const double start = processor_seconds();
  work();
  return processor_seconds() - start;
}

model::ModelOptions options_of(const Case& c) {
  model::ModelOptions options;
  options.name = "SiT";
  options.input_size = c.input_size, options.input_channels = c.channels, options.classes = 10;
  options.patch = c.patch, options.hidden = c.hidden, options.depth = c.depth, options.heads = c.heads;
  return options;
}

void measure(const std::string& name, at::ScalarType type, int rounds) {
  const Case& c = kCases.at(name);
  const model::ModelOptions options = options_of(c);
  const auto network = model::make_model(options, 1);
  for (const auto& parameter : network->parameters()) {
    at::Tensor tensor = parameter.tensor;
    tensor.set_data(tensor.detach().to(type));
    tensor.set_requires_grad(true);
  }
  network->set_training(true);
  const at::Tensor x = at::randn({c.batch, c.channels, c.input_size, c.input_size}), t = at::rand({c.batch});
  model::Condition condition;
  condition.labels = at::randint(10, {c.batch}, at::kLong);
  at::Tensor loss;
  const auto forward = [&] { loss = network->velocity(x, t, condition).square().mean(); };
  const auto backward = [&] {
    loss.backward();
    for (const auto& parameter : network->parameters()) at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
  };
  const at::Tensor a = at::randn({2048, 2048}).to(type), b = at::randn({2048, 2048}).to(type);
  const int repeats = static_cast<int>(std::max<std::int64_t>(1, 64 / c.batch));

  double ahead = 1e9, back = 1e9, sampling = 1e9, product = 1e9;
  for (int round = -1; round < rounds; ++round) {
    double f = 0, g = 0, h = 0;
    for (int i = 0; i < repeats; ++i) {
      f += seconds_of(forward);
      g += seconds_of(backward);
      h += seconds_of([&] {
        const at::NoGradGuard guard;
        forward();
      });
    }
    const double p = seconds_of([&] { at::mm(a, b); });
    if (round < 0) continue;
    ahead = std::min(ahead, f / repeats), back = std::min(back, g / repeats);
    sampling = std::min(sampling, h / repeats), product = std::min(product, p);
  }
  const double rate = 2.0 * 2048 * 2048 * 2048 / product;
  const double work = static_cast<double>(c.batch) * model::training_flops(options).total();
  const double achieved = work / (ahead + back);
  std::printf("%-4s %s  forward %8.2f ms  backward %8.2f ms  sampling %8.2f ms  %6.1f GFLOP/s of %6.1f: %5.1f %%\n",
              name.c_str(), type == at::kFloat ? "fp32" : "bf16", 1e3 * ahead, 1e3 * back, 1e3 * sampling,
              1e-9 * achieved, 1e-9 * rate, 100 * achieved / rate);
  std::fflush(stdout);
}

}  // namespace
}  // namespace pathline

int main(int count, char** words) {
  ::mallopt(M_MMAP_MAX, 0);  // as the programs do (apps/allocator.h)
  ::mallopt(M_TRIM_THRESHOLD, -1);
  at::set_num_threads(count > 1 ? std::atoi(words[1]) : 1);
  const int rounds = count > 2 ? std::atoi(words[2]) : 5;
  std::vector<std::string> cases(words + std::min(count, 3), words + count);
  if (cases.empty()) cases = {"d16", "d64", "e", "a"};
  for (const auto& name : cases) {
    for (const auto type : {at::kFloat, at::kBFloat16}) pathline::measure(name, type, rounds);
  }
}
