// SPDX-License-Identifier: Apache-2.0
#include "apps/model/sizes.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "model/flops.h"
#include "model/module.h"
#include "model/option_checks.h"

namespace pathline::apps {
namespace {

/// What the network was published for: latents of ImageNet at 256 pixels, of LightningDiT's and SD3's autoencoders (SD3
/// at 1,024 pixels, with prompts of 154 tokens), CIFAR-10, ImageNet at the size in the name.
void set_data(model::ModelOptions& options) {
  const std::string& name = options.name;
  const auto of_images = [&](std::int64_t size, std::int64_t channels, std::int64_t classes) {
    options.input_size = size;
    options.input_channels = channels;
    options.classes = classes;
  };
  if (name.starts_with("MMDiT")) {
    of_images(128, 16, 0);
    options.text_tokens = 154;
    options.text_width = 4096;
    options.text_pooled = 2048;
  } else if (name.starts_with("LightningDiT")) {
    of_images(16, 32, 1000);
  } else if (name.starts_with("UNet")) {
    of_images(32, 3, 0);
  } else if (name.starts_with("ADM-")) {
    of_images(std::stoll(name.substr(4)), 3, 1000);
  } else {
    of_images(32, 4, 1000);
  }
}

double parameters_of(const model::ModelOptions& options) {
  double count = 0;
  for (const model::ParameterShape& parameter : model::parameter_table(options)) {
    double elements = 1;
    for (const std::int64_t size : parameter.shape) elements *= static_cast<double>(size);
    count += elements;
  }
  return count;
}

}  // namespace

int print_sizes(bool json) {
  auto list = nlohmann::ordered_json::array();
  if (!json) std::printf("%-28s %12s %12s  %s\n", "model.name", "parameters", "GFLOP", "of one evaluation, on");
  for (const std::string& name : model::known_names()) {
    if (name.find('-') == std::string::npos) continue;
    model::ModelOptions options;
    options.name = name;
    options = model::with_named_fields(options);
    set_data(options);
    const double parameters = parameters_of(options), flops = model::forward_flops(options).total();
    if (json) {
      list.push_back({{"name", name}, {"parameters", parameters}, {"flops", flops}});
    } else {
      std::printf("%-28s %10.2f M %12.2f  %lld x %lld x %lld\n", name.c_str(), parameters / 1e6, flops / 1e9,
                  static_cast<long long>(options.input_size), static_cast<long long>(options.input_size),
                  static_cast<long long>(options.input_channels));
    }
  }
  if (json) std::printf("%s\n", list.dump(1).c_str());
  return 0;
}

}  // namespace pathline::apps
