// SPDX-License-Identifier: Apache-2.0
#include "apps/allocator.h"

#include <malloc.h>

namespace pathline::apps {

void keep_large_blocks_mapped() {
  ::mallopt(M_MMAP_MAX, 0);
  ::mallopt(M_TRIM_THRESHOLD, -1);
  ::mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace pathline::apps
