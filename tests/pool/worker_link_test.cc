// SPDX-License-Identifier: Apache-2.0
// The worker's side of the protocol against a real server.
#include "sampler/pool/worker_link.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/pool/served_pool.h"

namespace pathline::pool {
namespace {

/// A directory with `token` and `address`, as a dispatcher leaves it.
class Published {
 public:
  Published() {
    const std::string path = directory_ / "token";
    core::replace_file(files_, path, kToken + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  void publish(const ServedPool& served) {
    core::replace_file(files_, directory_ / "address", core::concat("http://127.0.0.1:", served.server.port(), "\n"));
  }
  ConnectOptions options() const { return {directory_.path(), "", ""}; }

 private:
  core::PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
};

const WorkerInfo kWorker = {"w", "host", 1, "cpu", 1};
const std::string kJob = R"({"checkpoint": "/runs/a", "output": "/out/a.h5", "count": 32, "slots": 16})";

bool never() { return false; }

/// A pool that was given one job over `connection`.
struct WithOneJob {
  explicit WithOneJob(const std::string& job = kJob) {
    published.publish(served);
    connection.ask("POST", "/v1/jobs", job);
  }

  Published published;
  ServedPool served;
  Connection connection{published.options()};
};

TEST(WorkerLink, SaysHowManySlotsItHasMeasured) {
  WithOneJob one(R"({"checkpoint": "/runs/a", "output": "/out/a.h5", "count": 64, "slots": "auto"})");
  WorkerLink link(one.connection, kWorker, never);
  const auto measuring = link.lease();
  ASSERT_TRUE(measuring && measuring->measure);
  EXPECT_FALSE(link.lease());
  EXPECT_TRUE(link.set_slots(measuring->token, 32));
  EXPECT_FALSE(link.set_slots(measuring->token, 64));
  const auto samples = link.lease();
  ASSERT_TRUE(samples && !samples->measure);
  EXPECT_EQ(samples->spec.slots, 32);
}

TEST(WorkerLink, TakesLeasesCommitsThemAndLeaves) {
  WithOneJob one;
  {
    WorkerLink link(one.connection, kWorker, never);
    const auto first = link.lease(), second = link.lease();
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->spec.slots, 16);
    EXPECT_FALSE(link.lost(first->token));
    EXPECT_TRUE(link.commit(first->token, one.served.pool.write(*first)));
    EXPECT_TRUE(link.lost(first->token));
    EXPECT_FALSE(link.commit(first->token, {}));  // it ended
    EXPECT_EQ(one.served.pool.dispatcher->job(1).leases, 1);
  }
  EXPECT_EQ(one.served.pool.dispatcher->job(1).leases, 0);
  EXPECT_EQ(one.served.pool.dispatcher->job(1).done, 16);
}

TEST(WorkerLink, ACommitThatIsRefusedSaysThatTheLeaseIsLost) {
  WithOneJob one;
  WorkerLink link(one.connection, kWorker, never);
  const auto lease = link.lease();
  ASSERT_TRUE(lease);
  const CommitReport report = one.served.pool.write(*lease);
  one.connection.ask("DELETE", "/v1/jobs/1");
  EXPECT_FALSE(link.commit(lease->token, report));
}

TEST(Connection, FindsADispatcherThatWasStartedAgainElsewhere) {
  Published published;
  auto served = std::make_unique<ServedPool>();
  published.publish(*served);
  Connection connection(published.options());
  connection.ask("POST", "/v1/jobs", kJob);
  served.reset();
  EXPECT_THROW(connection.ask("GET", "/v1/jobs"), Unreachable);
  std::unique_ptr<ServedPool> next;
  const auto start_it = [&] {  // asked while the connection waits
    if (!next) {
      next = std::make_unique<ServedPool>();
      published.publish(*next);
    }
    return false;
  };
  EXPECT_EQ(connection.ask("GET", "/v1/jobs", "", 60, start_it).substr(0, 9), "{\"jobs\":[");
}

TEST(Connection, GivesUpWhereNobodyWaitsAnyMore) {
  Published published;
  published.publish(*std::make_unique<ServedPool>());
  Connection connection(published.options());
  EXPECT_THROW(connection.ask("GET", "/v1/jobs", "", 1e9, [] { return true; }), Unreachable);
}

TEST(Connection, AWrongTokenIsAnErrorThatSaysSo) {
  ServedPool served;
  const HttpClient client({"127.0.0.1", std::to_string(served.server.port())}, "wrong");
  try {
    client.ask("GET", "/v1/jobs");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("token"), std::string::npos);
  }
}

}  // namespace
}  // namespace pathline::pool
