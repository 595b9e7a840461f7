// SPDX-License-Identifier: Apache-2.0
// What the files that read HDF5 files of others share; inside data/ only.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/recognised.h"

namespace pathline::data {

using DataSets = std::vector<hdf5::DataSet>;
using Which = std::vector<const hdf5::DataSet*>;

template <class Names>
bool among(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

Which matching(const DataSets& sets, const auto& wanted) {
  Which found;
  for (const hdf5::DataSet& set : sets) {
    if (wanted(set)) found.push_back(&set);
  }
  return found;
}

/// "/x uint8 6x5x5x3; /y int32 6"
std::string list_of(const DataSets& sets);

/// The one of that name; kInput, with what there is, where there is none.
const hdf5::DataSet& chosen(const hdf5::File& file, const DataSets& sets, const std::string& name);

/// Whether there are data sets of the HDF5 Image specification, each one picture (data/import_hdf5.cc reads them).
bool holds_pictures(const hdf5::File& file);

/// Whether there is an array that may be all images of the file.
bool holds_stack(const hdf5::File& file);

/// Fills the labels of `found`, and what is said of them.
void learn_foreign_labels(const hdf5::File& file, const DataSets& sets, const Selection& selection, Recognised& found);

}  // namespace pathline::data
