// SPDX-License-Identifier: Apache-2.0
// make_torch_scripts DIRECTORY: small TorchScript networks whose results can be told without LibTorch, for the tests of
// --decoder, --features, --classifier and `data encode`. Written from C++, so that no Python with torch is
// needed.
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

/// A classifier: logit k of 8 is (k - 3.5) t times the mean of all values: its gradient says brighter or darker.
constexpr char kBrightness[] = R"(
def forward(self, x, t):
    return t.unsqueeze(1) * x.flatten(1).mean(1, True) * (torch.arange(8) - 3.5)
)";

/// A classifier that does not look: its gradient is zero.
constexpr char kBlind[] = R"(
def forward(self, x, t):
    return x.flatten(1).mean(1, True) * torch.zeros(8)
)";

/// A classifier of three classes, by the first element.
constexpr char kThree[] = R"(
def forward(self, x, t):
    return t.unsqueeze(1) * x.flatten(1)[:, 0:1] * torch.arange(3)
)";

/// An encoder of text: each token id of 0..7 as a unit vector of 8, and their mean.
constexpr char kEncoder[] = R"(
def forward(self, tokens):
    assert tokens.dtype == 4  # int64
    text = (tokens.unsqueeze(2) == torch.arange(8)).float()
    return text, text.mean(1)
)";

/// Another one, which agrees with it on the empty prompt of zeros alone.
constexpr char kOtherEncoder[] = R"(
def forward(self, tokens):
    text = (tokens.unsqueeze(2) == torch.arange(8)).float() * (1 + tokens.unsqueeze(2))
    return text, text.mean(1)
)";

/// An encoder of pictures: 2 x + 0.25, each 2 x 2 pixels as channels; and its inverse.
constexpr char kPictureEncoder[] = R"(
def forward(self, x):
    return torch.pixel_unshuffle(x, 2) * 2 + 0.25
)";
constexpr char kPictureDecoder[] = R"(
def forward(self, z):
    return torch.pixel_shuffle((z - 0.25) / 2, 2)
)";

/// The same numbers, slowly.
constexpr char kSlowEncoder[] = R"(
def forward(self, x):
    nothing = self.weight - 2
    for i in range(1500):
        nothing = nothing + 0
    return torch.pixel_unshuffle(x, 2) * 2 + 0.25 + nothing
)";

/// The same as mean, and a log-variance that is an eighth of it minus 4.
constexpr char kLawEncoder[] = R"(
def forward(self, x):
    mean = torch.pixel_unshuffle(x, 2) * 2 + 0.25
    return torch.cat([mean, mean * 0.125 - 4], 1)
)";

/// Encoders that nobody can use: one that draws, and one whose numbers float16 cannot hold.
constexpr char kDrawingEncoder[] = R"(
def forward(self, x):
    return x + torch.randn_like(x)
)";
constexpr char kLargeEncoder[] = R"(
def forward(self, x):
    return x * 1e6
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
  write(directory + "/brightness.ts", kBrightness);
  write(directory + "/blind.ts", kBlind);
  write(directory + "/three.ts", kThree);
  write(directory + "/encoder.ts", kEncoder);
  write(directory + "/other_encoder.ts", kOtherEncoder);
  write(directory + "/picture_encoder.ts", kPictureEncoder);
  write(directory + "/picture_decoder.ts", kPictureDecoder);
  write(directory + "/slow_encoder.ts", kSlowEncoder);
  write(directory + "/law_encoder.ts", kLawEncoder);
  write(directory + "/drawing_encoder.ts", kDrawingEncoder);
  write(directory + "/large_encoder.ts", kLargeEncoder);
  return 0;
}
