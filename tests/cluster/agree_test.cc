// SPDX-License-Identifier: Apache-2.0
// What ranks agree on: errors, control words, shared directories, topology.
#include "cluster/agree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "cluster/control_word.h"
#include "cluster/shared_directory.h"
#include "cluster/topology.h"
#include "core/file_system.h"
#include "core/machine.h"
#include "tests/support/ranks.h"

namespace pathline::cluster {
namespace {

using testing::HasSubstr;
using tests::each_rank;

TEST(Together, ReturnsTheWorksResultIfAllIsWell) {
  each_rank([](Communicator& ranks) {
    EXPECT_EQ(together(ranks, [&] { return ranks.rank() + 1; }), ranks.rank() + 1);
    auto owned = together(ranks, [] { return std::make_unique<int>(5); });
    EXPECT_EQ(*owned, 5);
    together(ranks, [] {});
  });
}

TEST(Together, AllRanksThrowTheLowestFailingRanksError) {
  each_rank([](Communicator& ranks) {
    const int last = ranks.size() - 1;
    try {
      together(ranks,
               [&] { PL_CHECK(ranks.rank() < last / 2, core::ExitCode::kInput, "rank ", ranks.rank(), "'s file"); });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const AgreedError& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_THAT(error.what(), HasSubstr(core::concat("rank ", last / 2, "'s file")));
      if (last > 0) {
        EXPECT_THAT(error.what(), HasSubstr(core::concat("(rank ", last / 2, " on host ", core::host_name())));
      }
    }
    ranks.barrier();  // all ranks can go on with each other
  });
}

TEST(WordOfRoot, IsRankZerosOnAllRanks) {
  each_rank([](Communicator& ranks) {
    EXPECT_EQ(word_of_root(ranks, ranks.rank() + 7), 7);
    for (const std::string text : {"", "a longer text than that of rank 0's host"}) {
      EXPECT_EQ(word_of_root(ranks, ranks.rank() == 0 ? text : "another"), text);
    }
  });
}

TEST(Together, AnyExceptionIsShared) {
  each_rank([](Communicator& ranks) {
    try {
      together(ranks, [&] {
        if (ranks.rank() == ranks.size() - 1) throw std::logic_error("our mistake");
      });
      ADD_FAILURE() << "nothing was thrown";
    } catch (const AgreedError& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInternal);
      EXPECT_THAT(error.what(), HasSubstr("our mistake"));
    }
  });
}

TEST(ControlWord, AllRanksSeeTheUnionOfOneStepsFlagsInTheNext) {
  each_rank([](Communicator& ranks) {
    ControlWord control(ranks);
    EXPECT_EQ(control.collect(), std::nullopt);
    for (int step = 0; step < 20; ++step) {
      const bool mine = step % ranks.size() == ranks.rank();
      const std::uint64_t flags = (mine ? kStop : 0) | (std::uint64_t{1} << (40 + ranks.rank()));
      control.publish(flags);
      ranks.barrier();  // other collectives go on meanwhile
      const std::uint64_t everyone = ((std::uint64_t{1} << ranks.size()) - 1) << 40;
      EXPECT_EQ(control.collect(), everyone | kStop) << step;
      EXPECT_EQ(control.collect(), std::nullopt);
    }
  });
}

TEST(ControlWord, OneThatIsUnderWayAtTheEndIsWaitedFor) {
  each_rank([](Communicator& ranks) {
    ControlWord control(ranks);
    control.publish(kCheckpoint);
  });
}

TEST(SharedDirectory, IsSeenByAllAndLeftEmpty) {
  each_rank([](Communicator& ranks) {
    core::PosixFileSystem files;
    const std::string directory = tests::shared_temporary_directory(ranks, "shared") + "/new/run";
    check_shared_directory(ranks, files, directory);
    EXPECT_THAT(files.list(directory), testing::IsEmpty());
  });
}

TEST(SharedDirectory, ADirectoryOfOneHostOnlyIsRefusedByAllRanks) {
  each_rank([](Communicator& ranks) {
    core::PosixFileSystem files;
    const std::string shared = tests::shared_temporary_directory(ranks, "private");
    const std::string own = core::concat(shared, "/of-rank-", ranks.rank());
    const LookingAgain once{1, std::chrono::milliseconds(0)};
    if (ranks.size() == 1) return check_shared_directory(ranks, files, own, once);
    try {
      check_shared_directory(ranks, files, own, once);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const AgreedError& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
      EXPECT_THAT(error.what(), HasSubstr("not seen on host " + core::host_name()));
    }
  });
}

TEST(SharedDirectory, ADirectoryThatCannotBeMadeIsAnErrorOnAllRanks) {
  each_rank([](Communicator& ranks) {
    core::PosixFileSystem files;
    EXPECT_THROW(check_shared_directory(ranks, files, "/dev/null/run"), AgreedError);
  });
}

TEST(FindTopology, RanksOfThisMachineShareIt) {
  each_rank([](Communicator& ranks) {
    const Topology topology = find_topology(ranks);
    EXPECT_EQ(topology.hosts, std::vector<std::string>(ranks.size(), core::host_name()));
    EXPECT_EQ(topology.host_count, 1);
    EXPECT_EQ(topology.local_rank, ranks.rank());
    EXPECT_EQ(topology.local_size, ranks.size());
  });
}

}  // namespace
}  // namespace pathline::cluster
