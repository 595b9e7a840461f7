// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pathline::apps {

/// Prints every name with a size: parameters, and FLOP of one evaluation, on the data that it was published for.
int print_sizes(bool json);

}  // namespace pathline::apps
