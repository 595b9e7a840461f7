// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace pathline::apps {

/// Call first in main. Activations are freed and taken again every step; glibc would return each to the kernel and
/// fault it in anew (7 % of a step of SiT-S/2, measured). Kept in the heap they stay mapped.
void keep_large_blocks_mapped();

}  // namespace pathline::apps
