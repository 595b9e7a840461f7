// SPDX-License-Identifier: Apache-2.0
// make_torch_scripts DIRECTORY: small TorchScript networks whose results can be told without LibTorch, for the tests of
// --decoder and --features. Written from C++, so that no Python with torch is needed.
#include <ATen/ops/tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <string>

namespace {

/// Twice as wide and high, channels in reverse order: every value of the input, unchanged, four times.
constexpr char kDecoder[] = R"(
def forward(self, x):
    return x.flip(1).repeat_interleave(2, 2).repeat_interleave(2, 3)
)";

/// Means of the three channels, and twice the first pixel's first channel.
constexpr char kFeatures[] = R"(
def forward(self, x):
    assert x.is_floating_point()
    return torch.cat([x.mean([2, 3]), self.weight * x[:, 0:1, 0, 0]], 1)
)";

/// As StyleGAN's Inception: takes bytes, and gives features only where it is asked to.
constexpr char kByteFeatures[] = R"(
def forward(self, x, return_features: bool = False):
    assert x.dtype == 0  # uint8
    if return_features:
        return x[:, :, 0, 0].float()
    return x[:, :, 0, 0].float() * 0
)";

/// A decoder that forgets the picture's height.
constexpr char kBroken[] = R"(
def forward(self, x):
    return x.mean(2)
)";

void write(const std::string& path, const char* forward) {
  torch::jit::Module module("Network");
  module.register_buffer("weight", at::tensor(2.0f));
  module.define(forward);
  module.save(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string directory = argv[1];
  write(directory + "/decoder.ts", kDecoder);
  write(directory + "/features.ts", kFeatures);
  write(directory + "/byte_features.ts", kByteFeatures);
  write(directory + "/broken.ts", kBroken);
  return 0;
}
