// SPDX-License-Identifier: Apache-2.0
#include "model/module.h"

#include "model/network.h"
#include "model/option_checks.h"

namespace pathline::model {
namespace {

std::unique_ptr<Module> make_network(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  check_options(options);
  switch (family_of(options.name)) {
    case Family::kTransformer:
      return make_transformer(options, seed);
    case Family::kMmDit:
      return make_mm_dit(options, seed);
    case Family::kUnet:
      return make_unet(options, seed);
    case Family::kMlp:
      return make_mlp(options, seed);
    case Family::kCouplings:
      return make_coupling_layers(options, seed);
    case Family::kClassifier:
      return make_classifier(options, seed);
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<Module> make_module(const ModelOptions& options, std::uint64_t seed) {
  return make_network(options, seed);
}

std::vector<ParameterShape> parameter_table(const ModelOptions& options) {
  const std::unique_ptr<Module> network = make_network(options, std::nullopt);
  std::vector<ParameterShape> table;
  for (const NamedTensor& parameter : network->parameters()) {
    table.push_back({parameter.name, parameter.tensor.sizes().vec()});
  }
  return table;
}

}  // namespace pathline::model
