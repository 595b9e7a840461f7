// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sampler/pool/wire.h"
#include "tests/pool/pool_fixture.h"

namespace pathline::pool {
namespace {

using testing::HasSubstr;

const std::string kSecret = "0123456789abcdef";

struct Asked {
  Pool pool;
  Api api{*pool.dispatcher, kSecret};

  Response ask(const std::string& method, const std::string& target, const std::string& body = "") {
    return api.handle({method, target, "Bearer " + kSecret, body});
  }
};

const std::string kJob = R"({"checkpoint": "/runs/a", "output": "/out/a.h5", "count": 32, "slots": 16})";

TEST(Api, NobodyIsAnsweredWithoutTheToken) {
  Asked asked;
  ASSERT_EQ(asked.ask("POST", "/v1/jobs", kJob).status, 201);
  for (const char* token : {"", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdeF",
                            "Bearer 0123456789abcdef0", "Basic 0123456789abcdef", "0123456789abcdef"}) {
    for (const char* method : {"GET", "POST", "DELETE", "PUT", "HEAD"}) {
      for (const char* path :
           {"/v1/jobs", "/v1/jobs/1", "/v1/jobs/1/manifest", "/v1/workers", "/v1/previews", "/v1/previews/1",
            "/v1/leases", "/v1/heartbeat", "/v1/drain", "/v1/leases/1/commit", "/readyz", "/metrics", "/nothing", "",
            "/", "/v1/jobs?token=0123456789abcdef", "//", "*"}) {
        const Response answer = asked.api.handle({method, path, token, "{}"});
        EXPECT_EQ(answer.status, 401) << method << ' ' << path << ' ' << token;
        EXPECT_THAT(answer.body, testing::Not(HasSubstr("/out/a.h5")));
      }
    }
  }
  EXPECT_EQ(asked.api.handle({"GET", "/healthz", "", ""}).status, 200);
  EXPECT_EQ(asked.ask("GET", "/v1/jobs/1").status, 200);
}

TEST(Api, ThePageTakesTheTokenFromItsAddress) {
  Asked asked;
  EXPECT_EQ(asked.api.handle({"GET", "/?token=" + kSecret, "", ""}).status, 200);
  EXPECT_EQ(asked.api.handle({"GET", "/?token=wrong", "", ""}).status, 401);
  EXPECT_EQ(asked.api.handle({"GET", "/v1/jobs?token=" + kSecret, "", ""}).status, 401);
}

TEST(Api, ThePageNeedsNothingFromElsewhere) {
  const std::string page = kPage;
  for (const char* outside : {"http://", "https://", "<link", "src=\"", "@import", "url("})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
}

TEST(Api, AJobIsSubmittedAndSeen) {
  Asked asked;
  const Response made = asked.ask("POST", "/v1/jobs", kJob);
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(made.headers.front().second, "/v1/jobs/1");
  const Json job = Json::parse(asked.ask("GET", "/v1/jobs/1").body);
  EXPECT_EQ(job["state"], "queued");
  EXPECT_EQ(job["counts"]["total"], 32);
  EXPECT_TRUE(job["eta_seconds"].is_null());
  EXPECT_EQ(Json::parse(asked.ask("GET", "/v1/jobs").body)["jobs"].size(), 1u);
  EXPECT_EQ(Json::parse(asked.ask("POST", "/v1/jobs/1/pause").body)["paused"], true);
  EXPECT_EQ(Json::parse(asked.ask("DELETE", "/v1/jobs/1").body)["state"], "cancelled");
}

TEST(Api, AWholeJobGoesOverTheWire) {
  Asked asked;
  asked.ask("POST", "/v1/jobs", kJob);
  EXPECT_EQ(asked.ask("GET", "/readyz").status, 503);
  const Json joined = Json::parse(asked.ask("POST", "/v1/workers", to_json(WorkerInfo{"w", "h", 1, "cpu", 1})).body);
  EXPECT_EQ(asked.ask("GET", "/readyz").status, 200);
  const std::string who = dumped({{"worker", joined["worker"]}});
  for (;;) {
    const Response leased = asked.ask("POST", "/v1/leases", who);
    if (leased.status == 204) break;
    const Lease lease = lease_of(leased.body);
    const Json beat = {{"worker", joined["worker"]}, {"leases", {{{"token", lease.token}, {"done", 3}}}}};
    EXPECT_EQ(Json::parse(asked.ask("POST", "/v1/heartbeat", dumped(beat)).body)["lost"].size(), 0u);
    Json report = Json::parse(to_json(asked.pool.write(lease)));
    report["worker"] = joined["worker"];
    EXPECT_EQ(asked.ask("POST", core::concat("/v1/leases/", lease.token, "/commit"), dumped(report)).status, 204);
  }
  const Json manifest = Json::parse(asked.ask("GET", "/v1/jobs/1/manifest").body);
  EXPECT_EQ(manifest["state"], "completed");
  EXPECT_EQ(manifest["ranges"].back()["last"], 32);
  EXPECT_THAT(asked.ask("GET", "/metrics").body, HasSubstr("\npathline_pool_samples_total 32\n"));
  EXPECT_EQ(asked.ask("DELETE", "/v1/workers", who).status, 204);
}

TEST(Api, ErrorsAreProblemsWithAStatusAndAReason) {
  Asked asked;
  struct Case {
    const char *method, *target, *body;
    int status;
  };
  for (const Case& one :
       {Case{"POST", "/v1/jobs", "", 400}, Case{"POST", "/v1/jobs", "{\"count\": 3}", 400},
        Case{"GET", "/v1/jobs/7", "", 404}, Case{"GET", "/v1/jobs/x", "", 404},
        Case{"GET", "/v1/jobs/99999999999999999999999", "", 404}, Case{"PUT", "/v1/jobs", "", 405},
        Case{"GET", "/v2", "", 404}, Case{"POST", "/v1/leases", "{\"worker\": 3}", 400},
        Case{"POST", "/v1/leases", "{\"worker\": \"x\"}", 404}, Case{"POST", "/v1/drain", "[]", 400},
        Case{"POST", "/v1/jobs", R"({"checkpoint": "/none", "output": "/out/a.h5", "count": 32})", 422}}) {
    const Response answer = asked.ask(one.method, one.target, one.body);
    EXPECT_EQ(answer.status, one.status) << one.method << ' ' << one.target << ' ' << one.body;
    EXPECT_EQ(answer.type, "application/problem+json");
    const Json problem = Json::parse(answer.body);
    EXPECT_EQ(problem["status"], one.status);
    EXPECT_FALSE(problem["title"].get<std::string>().empty());
    EXPECT_FALSE(problem["detail"].get<std::string>().empty());
  }
}

TEST(Api, MoreJobsThanMayBeQueuedAreRefusedUntilOneIsBegun) {
  Asked asked;
  const auto submit = [&](int number) {
    return asked.ask(
        "POST", "/v1/jobs",
        dumped({{"checkpoint", "/runs/a"}, {"output", core::concat("/out/", number, ".h5")}, {"count", 1}}));
  };
  for (int number = 0; number < 40; ++number) ASSERT_EQ(submit(number).status, 201) << number;
  const Response refused = submit(40);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.type, "application/problem+json");
  EXPECT_THAT(Json::parse(refused.body)["detail"].get<std::string>(), HasSubstr("40 jobs are queued"));
  EXPECT_EQ(Json::parse(refused.body)["title"], "Too Many Requests");
  EXPECT_EQ(Json::parse(asked.ask("GET", "/v1/jobs").body)["jobs"].size(), 40u);
  EXPECT_TRUE(asked.pool.dispatcher->lease(asked.pool.worker()));
  EXPECT_EQ(submit(40).status, 201);
}

TEST(Api, MetricsCountRowsAndRejectedSteps) {
  Asked asked;
  asked.ask("POST", "/v1/jobs", kJob);
  const std::string who = asked.pool.worker();
  EXPECT_THAT(asked.ask("GET", "/metrics").body, HasSubstr("\npathline_pool_occupancy_ratio 0\n"));
  while (const auto lease = asked.pool.dispatcher->lease(who)) {
    CommitReport report = asked.pool.write(*lease);
    if (!lease->assembly) {
      report.rejected = 3;
      report.useful_rows = 12;
      report.evaluated_rows = 16;
    }
    asked.pool.dispatcher->commit(who, lease->token, report);
  }
  const std::string text = asked.ask("GET", "/metrics").body;
  EXPECT_THAT(text,
              HasSubstr("\n# TYPE pathline_pool_rejected_steps_total counter\npathline_pool_rejected_steps_total 6\n"));
  EXPECT_THAT(text, HasSubstr("\npathline_pool_useful_rows_total 24\n"));
  EXPECT_THAT(text, HasSubstr("\npathline_pool_evaluated_rows_total 32\n"));
  EXPECT_THAT(text, HasSubstr("\n# TYPE pathline_pool_occupancy_ratio gauge\npathline_pool_occupancy_ratio 0.75\n"));
}

TEST(Api, TheSecretIsComparedWhole) {
  EXPECT_TRUE(same_secret("abc", "abc"));
  for (const char* other : {"", "ab", "abcd", "abcabc", "abd", "xbc"}) EXPECT_FALSE(same_secret(other, "abc")) << other;
  EXPECT_FALSE(same_secret("", "abc"));
  EXPECT_FALSE(same_secret("abc", ""));
}

TEST(Api, ATokenIsMadeWholeAndNothingElse) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  read_or_make_token(directory / "token");
  EXPECT_EQ(files.list(directory.path()), std::vector<std::string>{"token"});
  EXPECT_EQ(std::filesystem::status(directory / "token").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  core::replace_file(files, directory / "token.AbCdEf", "half a tok");  // of a process that was killed
  std::filesystem::remove(directory / "token");
  EXPECT_EQ(read_or_make_token(directory / "token").size(), 48u);
  EXPECT_THROW(read_or_make_token(directory / "none/token"), core::Error);
}

TEST(Api, ATokenThatOthersMayReadIsRefused) {
  const tests::TemporaryDirectory directory;
  const std::string made = read_or_make_token(directory / "token");
  EXPECT_EQ(made.size(), 48u);
  EXPECT_EQ(read_or_make_token(directory / "token"), made);
  std::filesystem::permissions(directory / "token", std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);
  EXPECT_THROW(read_token(directory / "token"), core::Error);
}

}  // namespace
}  // namespace pathline::pool
