// SPDX-License-Identifier: Apache-2.0
// Clients that are slow, huge, malformed, pipelined or many: none keeps the others from their answers.
#include "sampler/pool/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/pool/raw_client.h"
#include "tests/pool/served_pool.h"

namespace pathline::pool {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

HttpLimits impatient() {
  HttpLimits limits;
  limits.seconds = 0.3;
  return limits;
}

void expect_alive(const ServedPool& served) { EXPECT_EQ(served.client().request("GET", "/v1/jobs").status, 200); }

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(HttpServer, AnswersPipelinedRequestsInOrder) {
  const ServedPool served;
  RawClient client(served.server.port());
  std::string all;
  for (int i = 0; i < 100; ++i) all += get(i % 2 == 0 ? "/v1/jobs" : core::concat("/v1/jobs/", i));
  ASSERT_TRUE(client.send(all + get("/healthz", "Connection: close\r\n")));
  const std::string answers = client.read_all();
  EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), 51u);
  std::size_t at = 0;
  for (int i = 1; i < 100; i += 2) {
    at = answers.find(core::concat("there is no job ", i, "."), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_THAT(answers, testing::EndsWith("ok\n"));
}

TEST(HttpServer, DropsClientsThatDoNotFinishTheirRequest) {
  const ServedPool served(impatient());
  std::vector<std::unique_ptr<RawClient>> slow;
  for (const std::string& begun : {std::string(), std::string("G"), std::string("GET / HTTP/1.1\r\nHost:"),
                                   std::string("POST /v1/jobs HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")}) {
    for (int i = 0; i < 20; ++i) {
      slow.push_back(std::make_unique<RawClient>(served.server.port()));
      slow.back()->send(begun);
    }
  }
  expect_alive(served);
  for (auto& client : slow) EXPECT_EQ(client->read_all(), "");
  expect_alive(served);
}

TEST(HttpServer, DropsClientsThatSendForeverButLittleAtATime) {
  const ServedPool served(impatient());
  RawClient client(served.server.port());
  client.send("GET / HTTP/1.1\r\nX: ");
  while (client.send("a")) ::poll(nullptr, 0, 1);  // below the limit of length for longer than the limit of time
  expect_alive(served);
}

TEST(HttpServer, DropsClientsThatDoNotTakeTheirAnswers) {
  const ServedPool served(impatient());
  RawClient client(served.server.port());
  std::string all;
  for (int i = 0; i < 2000; ++i) all += get("/");  // 20 MB of answers, more than the sockets hold
  for (std::size_t at = 0; at < all.size(); at += 65536) client.send_some(std::string_view(all).substr(at, 65536));
  expect_alive(served);
  EXPECT_LT(client.read_all().size(), 2000 * std::string(kPage).size());
  expect_alive(served);
}

TEST(HttpServer, RefusesWhatIsTooLong) {
  const ServedPool served;
  const std::string post = "POST /v1/jobs HTTP/1.1\r\nAuthorization: Bearer " + kToken + "\r\nContent-Length: ";
  RawClient announced(served.server.port()), sent(served.server.port()), header(served.server.port()),
      endless(served.server.port());
  announced.send(post + "1000000000000000000\r\n\r\n");
  EXPECT_THAT(announced.read_all(), StartsWith("HTTP/1.1 413"));
  sent.send("POST /v1/jobs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  while (sent.send("1000\r\n" + std::string(0x1000, ' ') + "\r\n")) {
  }
  header.send("GET / HTTP/1.1\r\nX: " + std::string(20000, 'a') + "\r\n\r\n");
  EXPECT_THAT(header.read_all(), StartsWith("HTTP/1.1 431"));
  while (endless.send(std::string(4096, 'A'))) {
  }
  expect_alive(served);
}

TEST(HttpServer, SurvivesWhatIsNoHttp) {
  const ServedPool served(impatient());
  const std::vector<std::string> garbage = {
      "\r\n\r\n",
      "GET\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET  HTTP/1.1\r\n\r\n",
      std::string(100, '\0'),
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
      "GET / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\nabcde",
      "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "GET / HTTP/1.1\r\n: x\r\n\r\n",
      "GET / HTTP/1.1\r\nA B: x\r\n\r\n",
      "GET /\xff\xfe HTTP/1.1\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
  for (const std::string& bytes : garbage) {
    RawClient client(served.server.port());
    client.send(bytes);
    client.end();
    const std::string answer = client.read_all();
    EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 4")) << bytes << answer;
  }
  expect_alive(served);
}

TEST(HttpServer, AnswersTwoHundredClientsAtOnce) {
  const ServedPool served;
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 200; ++i) clients.push_back(std::make_unique<RawClient>(served.server.port()));
  for (int round = 0; round < 5; ++round) {
    for (auto& client : clients) ASSERT_TRUE(client->send(get("/v1/workers")));
  }
  for (auto& client : clients) ASSERT_TRUE(client->send(get("/v1/jobs", "Connection: close\r\n")));
  for (auto& client : clients) {
    const std::string answers = client->read_all();
    EXPECT_EQ(count(answers, "HTTP/1.1 200 OK"), 6u);
    EXPECT_THAT(answers, HasSubstr("\"jobs\":[]"));
  }
}

TEST(HttpServer, ClosesConnectionsBeyondItsLimitAndGoesOn) {
  HttpLimits limits;
  limits.connections = 8;
  const ServedPool served(limits);
  {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 8; ++i) {
      clients.push_back(std::make_unique<RawClient>(served.server.port()));
      clients.back()->send(get("/healthz"));
    }
    RawClient refused(served.server.port());
    refused.send(get("/healthz"));
    EXPECT_EQ(refused.read_all(), "");
  }
  Answer answer;
  while (answer.status != 200) {  // the eight go when the server notices
    try {
      answer = served.client().request("GET", "/v1/jobs");
    } catch (const Unreachable&) {
    }
  }
}

}  // namespace
}  // namespace pathline::pool
