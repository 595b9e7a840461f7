// SPDX-License-Identifier: Apache-2.0
#include "core/machine.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

namespace pathline::core {
namespace {

TEST(OpenFileLimit, IsRaisedAsFarAsIsAllowedAndNeverLowered) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low = {std::min<rlim_t>(before.rlim_max, 64), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  raise_open_file_limit();
  rlimit raised = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &raised), 0);
  EXPECT_EQ(raised.rlim_cur, std::min<rlim_t>(before.rlim_max, 1 << 20));
  EXPECT_EQ(raised.rlim_max, before.rlim_max);
  raise_open_file_limit();
  rlimit again = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &again), 0);
  EXPECT_EQ(again.rlim_cur, raised.rlim_cur);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace pathline::core
