// SPDX-License-Identifier: Apache-2.0
// Which array of somebody else's file holds the labels.
#include <array>
#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/file_system.h"
#include "data/foreign.h"

namespace pathline::data {

namespace {

using core::ExitCode;

constexpr std::array kLabelNames = {"/labels", "/label", "/y",       "/Y",           "/targets",
                                    "/target", "/ans",   "/classes", "/train_set_y", "/test_set_y"};

/// One number a row, up to axes of size 1.
bool one_a_row(const hdf5::DataSet& set) {
  return (set.is_integer() || set.is_float()) && !set.shape().empty() &&
         set.elements() == static_cast<std::uint64_t>(set.shape()[0]);
}

bool label_shaped(const hdf5::DataSet& set, std::int64_t count) {
  return one_a_row(set) && set.shape()[0] == count && count > 0;
}

/// "/train_set_x" -> "/train_set_y"; "" if the name does not end in x.
std::string partner(std::string name) {
  if (name.empty() || (name.back() != 'x' && name.back() != 'X')) return "";
  ++name.back();
  return name;
}

/// "; FILE.h5:/images,none reads the images without labels."
std::string way_out(const hdf5::File& file, const std::string& pixels) {
  return core::concat(file.path(), ":", pixels, ",", kNoLabels, " reads the images without labels.");
}

/// The one data set of labels among `sets`, or null.
const hdf5::DataSet* labels_among(const hdf5::File& file, const DataSets& sets, const std::string& pixels,
                                  std::int64_t count) {
  const Which found =
      matching(sets, [&](const auto& set) { return among(kLabelNames, set.name()) && label_shaped(set, count); });
  if (found.empty()) return nullptr;
  const auto own = std::ranges::find(found, partner(pixels), [](const auto* set) { return set->name(); });
  if (own != found.end()) return *own;
  PL_CHECK(found.size() == 1, ExitCode::kInput, file.path(),
           " holds several arrays that may be the labels: ", list_of(sets), ". Choose one by its name, as ",
           file.path(), ":", pixels, ",", found[0]->name(), "; ", way_out(file, pixels));
  return found[0];
}

/// "..._x.h5" -> "..._y.h5" if that file exists, else "".
std::string label_file_of(const std::string& path) {
  std::string name = core::name_of(path);
  const std::size_t at = name.rfind("_x");
  if (at == std::string::npos) return "";
  name[at + 1] = 'y';
  const std::string other = core::join_path(core::parent_of(path), name);
  return std::filesystem::exists(other) ? other : "";
}

/// What labels of the file at hand say, which has none that fit: arrays of another count are a mistake, arrays of
/// several numbers a sample (the factors of 3dshapes, attributes of faces) are no classes.
std::string why_without(const hdf5::File& file, const DataSets& sets, const Recognised& found) {
  const Which named = matching(sets, [](const auto& set) { return among(kLabelNames, set.name()); });
  for (const hdf5::DataSet* set : named) {
    PL_CHECK(!one_a_row(*set), ExitCode::kInput, file.path(), " has ", set->shape()[0], " labels in ", set->describe(),
             " for the ", found.info.count, " images in ", found.items.name(),
             " (which belongs to which is not known). Mend the file; ", way_out(file, found.items.name()));
  }
  return named.empty() ? "no labels" : "no labels (" + named[0]->describe() + " is not one class a sample)";
}

/// The labels in `set` of `file`, for the images of `images`.
void take(const hdf5::File& file, const hdf5::DataSet& set, const hdf5::File& images, Recognised& found) {
  found.labels = read_labels(file, set);
  found.labels_text = "labels " + set.describe();
  if (!set.is_float()) return;
  std::vector<double> values(found.labels.size());
  set.read(0, set.shape()[0], hdf5::Element::kFloat64, std::as_writable_bytes(std::span(values)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    PL_CHECK(values[i] == static_cast<double>(found.labels[i]), ExitCode::kInput, "sample ", i, " of ", file.path(),
             " has the label ", values[i], " in ", set.describe(), " (classes are whole numbers from 0). ",
             way_out(images, found.items.name()));
  }
}

void take_from_other_file(const std::string& path, const hdf5::File& images, Recognised& found) {
  const hdf5::File other = hdf5::File::open(path);
  const DataSets others = other.data_sets();
  const hdf5::DataSet* there = labels_among(other, others, found.items.name(), found.info.count);
  PL_CHECK(there, ExitCode::kInput, path, " should hold the ", found.info.count, " labels of ", images.path(),
           ", but holds ", list_of(others), ". Mend it or move it away; ", way_out(images, found.items.name()));
  take(other, *there, images, found);
  found.labels_text += " of " + core::name_of(path);
}

}  // namespace

void learn_foreign_labels(const hdf5::File& file, const DataSets& sets, const Selection& selection, Recognised& found) {
  const std::int64_t count = found.info.count;
  if (selection.labels == kNoLabels) {
    found.labels_text = "labels left out";
  } else if (!selection.labels.empty()) {
    const hdf5::DataSet& labels = chosen(file, sets, selection.labels);
    PL_CHECK(label_shaped(labels, count), ExitCode::kInput, labels.describe(), " in ", file.path(),
             " is not one whole number for each of ", count, " samples. Choose another, or none.");
    take(file, labels, file, found);
  } else if (const hdf5::DataSet* labels = labels_among(file, sets, found.items.name(), count)) {
    take(file, *labels, file, found);
  } else if (const std::string path = label_file_of(file.path()); !path.empty()) {
    take_from_other_file(path, file, found);
  } else {
    found.labels_text = why_without(file, sets, found);
  }
}

}  // namespace pathline::data
