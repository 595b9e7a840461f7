// SPDX-License-Identifier: Apache-2.0
// Whether a store is what an import would make again.
#pragma once

#include <cstdint>
#include <string>

#include "data/import.h"

namespace pathline::data {

/// Differs where pictures [first, last) of `source`, their labels or attributes, or the options that shape what is
/// stored differ; "fnv1a64:" and 16 hexadecimal digits. `info` is what the store will say of the whole set. Files count
/// as changed where their size or time did; they are not read.
std::string import_fingerprint(const PictureSource& source, const ImportOptions& options, const SetInfo& info,
                               std::int64_t first, std::int64_t last);

}  // namespace pathline::data
