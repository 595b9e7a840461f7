// SPDX-License-Identifier: Apache-2.0
// Real requests with random damage, to the JSON layer and over sockets: every answer is one of the API's, and the store
// stays in order. PATHLINE_POOL_MUTATIONS chooses how many (and PATHLINE_POOL_SEED which).
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <vector>

#include "sampler/pool/wire.h"
#include "tests/pool/raw_client.h"
#include "tests/pool/served_pool.h"

namespace pathline::pool {
namespace {

std::int64_t setting(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

class Mutator {
 public:
  Mutator() : random_(static_cast<std::uint32_t>(setting("PATHLINE_POOL_SEED", 1))) {}

  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

  std::string mutated(std::string text) {
    static const std::vector<std::string> kPieces = {
        "\"",      "{",       "}",    "[",          "]",        "null", "-1", "1e999", "99999999999999999999",
        "\\u0000", "\\ud800", "\xff", "true",       "0",        ":",    ",",  "\r\n",  " ",
        "/",       "%00",     "../",  "\"worker\"", "\"token\""};
    for (std::size_t n = 1 + below(4); n > 0; --n) {
      const std::size_t at = below(text.size() + 1), length = below(std::min<std::size_t>(12, text.size() - at + 1));
      switch (below(4)) {
        case 0:
          text.erase(at, length);
          break;
        case 1:
          text.insert(at, kPieces[below(kPieces.size())]);
          break;
        case 2:
          text.replace(at, length, kPieces[below(kPieces.size())]);
          break;
        default:
          if (at < text.size()) text[at] = static_cast<char>(below(256));
          break;
      }
    }
    return text;
  }

 private:
  std::mt19937 random_;
};

struct Seeded {
  std::string method, target, body;
};

std::vector<Seeded> requests(const std::string& worker) {
  const std::string who = dumped({{"worker", worker}});
  return {
      {"POST", "/v1/jobs",
       R"({"checkpoint": "/runs/a", "output": "/out/b.h5", "count": 64, "slots": 16, "rtol": 1e-4, "labels": "0-3"})"},
      {"POST", "/v1/workers", to_json(WorkerInfo{"w", "h", 1, "cpu", 1})},
      {"POST", "/v1/leases", who},
      {"POST", "/v1/heartbeat",
       R"({"worker":")" + worker + R"(","leases":[{"token":1,"done":3},{"token":2,"done":0}]})"},
      {"POST", "/v1/leases/1/commit", R"({"worker":")" + worker + R"(",)" + to_json(CommitReport{}).substr(1)},
      {"POST", "/v1/leases/1/return", R"({"worker":")" + worker + R"(","reason":"full"})"},
      {"POST", "/v1/leases/1/slots", R"({"worker":")" + worker + R"(","slots":32})"},
      {"POST", "/v1/leases/1/error", R"({"worker":")" + worker + R"(","error":"x","whole_job":false,"sample":3})"},
      {"POST", "/v1/jobs/1/pause", ""},
      {"POST", "/v1/jobs/1/resume", ""},
      {"GET", "/v1/jobs/1/manifest", ""},
      {"GET", "/v1/jobs", ""},
      {"GET", "/metrics", ""},
      {"POST", "/v1/drain", R"({"draining": false})"}};
}

TEST(MutatedRequests, EveryAnswerIsOneOfTheApisAndTheStoreStaysInOrder) {
  Pool pool;
  pool.submit(100000);
  const std::string worker = pool.worker();
  Api api(*pool.dispatcher, kToken);
  const auto seeds = requests(worker);
  Mutator mutator;
  std::map<int, int> seen;
  for (std::int64_t i = 0; i < setting("PATHLINE_POOL_MUTATIONS", 3000); ++i) {
    Seeded one = seeds[mutator.below(seeds.size())];
    std::string& part = mutator.below(4) == 0 ? one.target : one.body;
    part = mutator.mutated(part);
    const Response answer = api.handle({one.method, one.target, "Bearer " + kToken, one.body});
    ++seen[answer.status];
    ASSERT_TRUE((std::set<int>{200, 201, 204, 400, 404, 405, 409, 422}.contains(answer.status)))
        << answer.status << ' ' << answer.body << " to " << one.method << ' ' << one.target << ' ' << one.body;
    if (answer.type.ends_with("json") && !answer.body.empty()) {
      ASSERT_TRUE(Json::accept(answer.body)) << answer.body;
    }
  }
  EXPECT_GT(seen[200] + seen[204], 0);
  EXPECT_GT(seen[400], 0);
  pool.expect_order(1);
  for (const JobView& job : pool.dispatcher->jobs()) pool.expect_order(job.id);
}

TEST(MutatedRequests, TheServerOutlivesDamagedHttp) {
  HttpLimits limits;
  limits.seconds = 0.5;
  ServedPool served(limits);
  Mutator mutator;
  const auto seeds = requests("0123456789abcdef");
  for (std::int64_t i = 0; i < setting("PATHLINE_POOL_MUTATIONS", 3000) / 10; ++i) {
    const Seeded& one = seeds[mutator.below(seeds.size())];
    const std::string whole =
        core::concat(one.method, " ", one.target, " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ", kToken,
                     "\r\nConnection: close\r\nContent-Length: ", one.body.size(), "\r\n\r\n", one.body);
    RawClient client(served.server.port());
    client.send(mutator.mutated(whole));
    client.end();
    const std::string answer = client.read_all();
    ASSERT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 ")) << answer;
    ASSERT_FALSE(answer.starts_with("HTTP/1.1 5")) << answer;
  }
  EXPECT_EQ(served.client().request("GET", "/v1/jobs").status, 200);
}

}  // namespace
}  // namespace pathline::pool
