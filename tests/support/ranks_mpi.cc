// SPDX-License-Identifier: Apache-2.0
// Ranks as processes under mpirun; see ranks.h. Rank 0 reports; the others print only what fails on them.
#include "tests/support/ranks.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "cluster/mpi_communicator.h"
#include "tests/support/ranks_directory.h"

namespace pathline::tests {
namespace {

DirectoriesToRemove directories;
cluster::Communicator* world = nullptr;  // tests have no other way to reach what main() made

class FailuresOnly final : public testing::EmptyTestEventListener {
 public:
  explicit FailuresOnly(int rank) : rank_(rank) {}

 private:
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (part.failed()) {
      std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_, part.file_name() ? part.file_name() : "?", part.line_number(),
                   part.message());
    }
  }
  int rank_;
};

void print_on_rank_0_only(int rank) {
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (rank == 0) return;
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new FailuresOnly(rank));
}

/// Tests of cut messages make all messages small.
std::size_t largest_message() {
  const char* bytes = std::getenv("PATHLINE_TEST_LARGEST_MESSAGE");
  return bytes ? std::stoul(bytes) : cluster::kLargestMessage;
}

std::int64_t agreed_maximum(std::int64_t value) {
  world->all_reduce(std::span(&value, 1), cluster::Reduction::kMax);
  return value;
}

}  // namespace

void each_rank(const std::function<void(cluster::Communicator&)>& body) {
  try {
    const auto ranks = cluster::make_mpi_communicator(largest_message());
    body(*ranks);
  } catch (const std::exception& error) {
    ADD_FAILURE() << "rank " << world->rank() << ": " << error.what();
    world->abort(1);  // the others may wait for this rank
  }
  if (testing::Test::HasFatalFailure()) world->abort(1);  // the body returned early, as above
  const bool failed = testing::Test::HasFailure();
  if (agreed_maximum(failed) != 0 && !failed) ADD_FAILURE() << "failed on another rank";
}

std::string shared_temporary_directory(cluster::Communicator& ranks, const std::string& name) {
  return make_shared_directory(ranks, name, directories);
}

}  // namespace pathline::tests

int main(int argc, char** argv) {
  pathline::cluster::MpiSession session;
  pathline::tests::world = &session.world();
  testing::InitGoogleTest(&argc, argv);
  pathline::tests::print_on_rank_0_only(session.world().rank());
  return static_cast<int>(pathline::tests::agreed_maximum(RUN_ALL_TESTS()));
}
