// SPDX-License-Identifier: Apache-2.0
#include "trainer/block_norms.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <span>
#include <utility>

#include "cluster/block_layout.h"
#include "cluster/reduction_tree.h"
#include "core/error.h"

namespace pathline::trainer {
namespace {

/// Calls visit(tensor, begin, end) for every piece of every tensor: [begin, end) of the buffer.
template <class Visit>
void for_each_piece(const FlatLayout& layout, const Visit& visit) {
  for (const FlatTensor& tensor : layout.tensors) {
    const std::size_t last = tensor.offset + tensor.elements;
    for (std::size_t begin = tensor.offset; begin < last;) {
      const std::size_t end = std::min(last, (begin / cluster::kBlock + 1) * cluster::kBlock);
      visit(tensor, begin, end);
      begin = end;
    }
  }
}

bool is_number(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// One after the other; pieces need not be whole lanes, as cluster/block_norm.h wants them.
double sum_of_squares(std::span<const float> piece) {
  double sum = 0;
  for (const float value : piece) sum += static_cast<double>(value) * value;
  return sum;
}

}  // namespace

std::string block_of(std::string_view parameter) {
  for (std::size_t begin = 0; begin < parameter.size();) {
    const std::size_t end = std::min(parameter.find('.', begin), parameter.size());
    if (is_number(parameter.substr(begin, end - begin))) return std::string(parameter.substr(0, end));
    begin = end + 1;
  }
  return std::string(parameter.substr(0, parameter.find('.')));
}

std::map<std::string, double> BlockNorms::norms_of(const std::vector<at::Tensor>& own_parts,
                                                   const std::string& prefix) const {
  std::vector<double> squares;  // of every piece; those of others stay 0 here
  for_each_piece(state_.layout(), [&](const FlatTensor& tensor, std::size_t begin, std::size_t end) {
    const cluster::Range own = state_.exchange().map().own(tensor.bucket).range;
    const bool ours = own.begin <= begin && end <= own.end;
    const float* values = ours ? own_parts[tensor.bucket].const_data_ptr<float>() + (begin - own.begin) : nullptr;
    squares.push_back(ours ? sum_of_squares({values, end - begin}) : 0.0);
  });
  ranks_.all_reduce(squares, cluster::Reduction::kSum);  // one term a piece is not zero: exact in any order
  std::map<std::string, std::vector<double>> of_block;
  std::size_t piece = 0;
  for_each_piece(state_.layout(), [&](const FlatTensor& tensor, std::size_t, std::size_t) {
    of_block[block_of(tensor.name)].push_back(squares[piece++]);
  });
  std::map<std::string, double> norms;
  for (const auto& [block, terms] : of_block) norms[prefix + block] = std::sqrt(cluster::tree_sum(terms));
  return norms;
}

void BlockNorms::before_update(const at::Tensor& gradient) {
  std::vector<at::Tensor> gradients;
  masters_.clear();
  const std::vector<at::Tensor> masters = state_.shards().front().parts;
  for (const at::Tensor& part : masters) {
    const cluster::Range own = state_.exchange().map().own(masters_.size()).range;
    gradients.push_back(gradient.narrow(0, static_cast<std::int64_t>(own.begin), part.numel()).to(at::kCPU));
    masters_.push_back(part.clone());
  }
  norms_ = norms_of(gradients, "gradient_norm/");
}

std::map<std::string, double> BlockNorms::after_update() {
  PL_ASSERT(!norms_.empty());
  std::vector<at::Tensor> changes;
  const std::vector<at::Tensor> after = state_.shards().front().parts;
  for (std::size_t b = 0; b < after.size(); ++b) changes.push_back((after[b] - masters_[b]).to(at::kCPU));
  masters_.clear();
  norms_.merge(norms_of(changes, "update_norm/"));
  return std::exchange(norms_, {});
}

}  // namespace pathline::trainer
