// SPDX-License-Identifier: Apache-2.0
// Ranks as threads of this process; see ranks.h.
#include "tests/support/ranks.h"

#include <gtest/gtest.h>

#include <exception>

#include "cluster/thread_communicator.h"
#include "tests/support/ranks_directory.h"

namespace pathline::tests {
namespace {

DirectoriesToRemove directories;

}  // namespace

void each_rank(const std::function<void(cluster::Communicator&)>& body) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    try {
      cluster::run_on_threads(ranks, body);
    } catch (const std::exception& error) {
      ADD_FAILURE() << "with " << ranks << " ranks: " << error.what();
    }
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "failed with " << ranks << " ranks";
      return;
    }
  }
}

std::string shared_temporary_directory(cluster::Communicator& ranks, const std::string& name) {
  return make_shared_directory(ranks, name, directories);
}

}  // namespace pathline::tests

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
