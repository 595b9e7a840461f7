// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace pathline::pool {
namespace {

TEST(Store, IsMadeOnceAndFoundAgain) {
  const tests::TemporaryDirectory directory;
  open_store(directory.path())->run("INSERT INTO pool VALUES ('x', 7)");
  EXPECT_EQ(open_store(directory.path())->integer("SELECT value FROM pool WHERE key = 'x'"), 7);
  EXPECT_EQ(open_store(directory.path())->integer("PRAGMA user_version"), kStoreVersion);
}

TEST(Store, IsInWalModeWithFullSyncOnALocalDisk) {
  const tests::TemporaryDirectory directory;
  const auto store = open_store(directory.path());
  Rows mode = store->query("PRAGMA journal_mode");
  ASSERT_TRUE(mode.next());
  EXPECT_EQ(mode.text(0), "wal");
  EXPECT_EQ(store->integer("PRAGMA synchronous"), 2);
}

TEST(Store, HoldsItsFileAloneOnNetworkFileSystems) {
  const tests::TemporaryDirectory directory;
  Database store(directory / "a", Database::Journal::kExclusive);
  store.execute("CREATE TABLE t (x)");
  EXPECT_EQ(store.integer("PRAGMA synchronous"), 3);
  Rows mode = store.query("PRAGMA journal_mode");
  ASSERT_TRUE(mode.next());
  EXPECT_EQ(mode.text(0), "delete");
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((directory / "a").c_str(), &other), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(other, "SELECT * FROM t", nullptr, nullptr, nullptr), SQLITE_BUSY);
  sqlite3_close(other);
}

TEST(Store, KnowsNetworkFileSystems) {
  for (const std::int64_t type :
       {0x6969L, 0xFF534D42L, static_cast<long>(static_cast<std::int32_t>(0xFF534D42)), 0x0BD00BD0L, 0x47504653L}) {
    EXPECT_TRUE(is_network_file_system(type)) << type;
  }
  for (const std::int64_t type : {0xEF53L, 0x58465342L, 0x01021994L, 0x794C7630L, 0x9123683EL})
    EXPECT_FALSE(is_network_file_system(type));
}

TEST(Store, RefusesANewerVersion) {
  const tests::TemporaryDirectory directory;
  open_store(directory.path())->execute("PRAGMA user_version = 9");
  EXPECT_THROW(open_store(directory.path()), core::Error);
}

TEST(Store, RefusesAFileOfSomethingElse) {
  const tests::TemporaryDirectory directory;
  Database(directory / "jobs.sqlite", Database::Journal::kWal).execute("CREATE TABLE jobs (x)");
  EXPECT_THROW(open_store(directory.path()), core::Error);
  std::filesystem::remove(directory / "jobs.sqlite");
  std::ofstream(directory / "jobs.sqlite") << std::string(5000, 'x');
  EXPECT_THROW(open_store(directory.path()), core::Error);
}

TEST(Store, ATransactionThatIsNotCommittedNeverHappened) {
  const tests::TemporaryDirectory directory;
  const auto store = open_store(directory.path());
  {
    const Transaction lost(*store);
    store->run("UPDATE pool SET value = 99");
  }
  EXPECT_EQ(store->integer("SELECT value FROM pool WHERE key = 'next_token'"), 1);
}

TEST(Store, AFullDiskChangesNothing) {
  const tests::TemporaryDirectory directory;
  const auto store = open_store(directory.path());
  store->execute(core::concat("PRAGMA max_page_count = ", store->integer("PRAGMA page_count")));
  Transaction lost(*store);
  store->run("UPDATE pool SET value = 99");
  EXPECT_THROW(
      store->run("INSERT INTO workers VALUES ('id', ?1, 'h', 1, 'f', 1, 0, 'alive')", {std::string(1 << 20, 'x')}),
      core::Error);
  EXPECT_ANY_THROW(lost.commit());
  EXPECT_EQ(store->integer("SELECT value FROM pool WHERE key = 'next_token'"), 1);
}

}  // namespace
}  // namespace pathline::pool
