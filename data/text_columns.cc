// SPDX-License-Identifier: Apache-2.0
#include "data/text_columns.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/item_reader.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr const char* kText = "/text_embeddings";

hdf5::DataSet floats_in(const hdf5::File& file, const std::string& name) {
  PL_CHECK(file.has(name), ExitCode::kInput, file.path(), " has ", kText, " but no ", name,
           " (a described set holds the whole prompts and the empty one, too). Make it with `pathline data encode "
           "--text`.");
  hdf5::DataSet set = file.data_set(name);
  PL_CHECK(set.is_float() && std::ranges::all_of(set.shape(), [](auto size) { return size > 0; }), ExitCode::kInput,
           file.path(), " has ", set.describe(), " where embeddings of prompts belong (numbers, float16 or float32). ",
           "Make it with `pathline data encode --text`.");
  check_inside(file, set);
  return set;
}

void check_shape(const hdf5::File& file, const hdf5::DataSet& set, const std::vector<std::int64_t>& expected) {
  PL_CHECK(set.shape() == expected, ExitCode::kInput, file.path(), " has ", set.describe(), ", but its ", kText,
           " ask for ", hdf5::shape_text(expected), ". Encode the prompts again, all with one encoder.");
}

void check_finite(const std::string& path, const std::string& what, std::span<const float> values) {
  PL_CHECK(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }), ExitCode::kInput, path, ": ",
           what, " holds numbers that are not finite (float16 ends at 65504). Encode it again, in float32.");
}

TextShape shape_of(const hdf5::File& file, const hdf5::DataSet& text, const hdf5::DataSet& pooled) {
  PL_CHECK(text.shape().size() == 3 && pooled.shape().size() == 2, ExitCode::kInput, file.path(), " has ",
           text.describe(), " and ", pooled.describe(),
           " (count, tokens, width and count, width belong there). Encode the prompts again.");
  check_shape(file, pooled, {text.shape()[0], pooled.shape()[1]});
  return {text.shape()[1], text.shape()[2], pooled.shape()[1]};
}

}  // namespace

std::string described(const TextShape& shape) {
  return core::concat(shape.tokens, " tokens of ", shape.width, " numbers, pooled ", shape.pooled);
}

TextColumns::TextColumns(const hdf5::File& file)
    : path_(file.path()),
      text_(floats_in(file, kText)),
      pooled_(floats_in(file, "/text_pooled")),
      shape_(shape_of(file, text_, pooled_)) {
  const hdf5::DataSet text = floats_in(file, "/null_text"), pooled = floats_in(file, "/null_pooled");
  check_shape(file, text, {shape_.tokens, shape_.width});
  check_shape(file, pooled, {shape_.pooled});
  std::vector<float> null(shape_.values());
  const auto tokens = static_cast<std::size_t>(shape_.tokens * shape_.width);
  text.read(0, shape_.tokens, hdf5::Element::kFloat32, std::as_writable_bytes(std::span(null).first(tokens)));
  pooled.read(0, shape_.pooled, hdf5::Element::kFloat32, std::as_writable_bytes(std::span(null).subspan(tokens)));
  check_finite(path_, "the empty prompt", null);
  null_ = std::make_shared<const std::vector<float>>(std::move(null));
}

std::optional<TextColumns> TextColumns::in(const hdf5::File& file) {
  if (!file.has(kText)) return std::nullopt;
  return TextColumns(file);
}

TextColumns TextColumns::open(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  PL_CHECK(file.has(kText), ExitCode::kInput, path, " holds no ", kText,
           " (encoded prompts are wanted). Make it with `pathline data encode --text`.");
  return TextColumns(file);
}

void TextColumns::read(std::int64_t index, std::span<float> out) const {
  PL_ASSERT(index >= 0 && index < count() && out.size() == shape_.values());
  const auto tokens = static_cast<std::size_t>(shape_.tokens * shape_.width);
  text_.read(index, 1, hdf5::Element::kFloat32, std::as_writable_bytes(out.first(tokens)));
  pooled_.read(index, 1, hdf5::Element::kFloat32, std::as_writable_bytes(out.subspan(tokens)));
  check_finite(path_, core::concat("prompt ", index), out);
}

}  // namespace pathline::data
