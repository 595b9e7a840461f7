// SPDX-License-Identifier: Apache-2.0
#include "trainer/prometheus.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cluster/self_communicator.h"
#include "core/error.h"
#include "tests/support/temporary_directory.h"
#include "trainer/telemetry.h"

namespace pathline::trainer {
namespace {

/// A client's socket, connected to a port of this machine.
int connected(int port) {
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return client;
}

/// What the server answers until it closes the connection.
std::string answer(int client) {
  std::string text;
  char piece[512];
  for (ssize_t got; (got = ::recv(client, piece, sizeof(piece), 0)) > 0;)
    text.append(piece, static_cast<std::size_t>(got));
  ::close(client);
  return text;
}

std::string http(int port, const std::string& request) {
  const int client = connected(port);
  EXPECT_EQ(::send(client, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  return answer(client);
}

/// Name and value of every line that is no comment.
std::map<std::string, std::string> samples_of(const std::string& response) {
  std::istringstream lines(response.substr(response.find("\r\n\r\n") + 4));
  std::map<std::string, std::string> samples;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#")) continue;
    samples[line.substr(0, line.find(' '))] = line.substr(line.find(' ') + 1);
  }
  return samples;
}

TEST(Prometheus, TextHasHelpTypeAndValueOfEveryName) {
  EXPECT_EQ(prometheus_text({{"loss", 0.25}, {"validation_loss 0-0.1", std::numeric_limits<double>::infinity()}}),
            "# HELP pathline_loss Mean loss over the last global batch.\n"
            "# TYPE pathline_loss gauge\n"
            "pathline_loss 0.25\n"
            "# TYPE pathline_validation_loss_0_0_1 gauge\n"
            "pathline_validation_loss_0_0_1 +Inf\n");
}

TEST(Prometheus, ServesTheLatestText) {
  PrometheusServer server("127.0.0.1:0");
  server.publish("pathline_loss 1\n");
  server.publish("pathline_loss 2\n");
  const std::string response = http(server.port(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
  EXPECT_NE(response.find("Content-Type: text/plain; version=0.0.4"), std::string::npos);
  EXPECT_NE(response.find("Content-Length: 16\r\n"), std::string::npos);
  EXPECT_TRUE(response.ends_with("\r\n\r\npathline_loss 2\n"));
}

TEST(Prometheus, RefusesOtherPathsMethodsAndEndlessRequests) {
  PrometheusServer server("0");
  EXPECT_TRUE(http(server.port(), "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(http(server.port(), "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
  EXPECT_EQ(http(server.port(), std::string(9000, 'x')), "");
}

TEST(Prometheus, AClientThatSaysNothingDelaysNeitherPublishingNorTheEnd) {
  int silent = -1;
  {
    PrometheusServer server("0");
    silent = connected(server.port());
    for (int i = 0; i < 1000; ++i) server.publish("x 1\n");
  }  // the server's end closes the connection
  EXPECT_EQ(answer(silent), "");
}

TEST(Prometheus, APortInUseIsAnErrorOfTheEnvironment) {
  PrometheusServer server("0");
  try {
    PrometheusServer second(std::to_string(server.port()));
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
    EXPECT_NE(std::string(error.what()).find("Give another port"), std::string::npos);
  }
}

TEST(Prometheus, RefusesWhatIsNoAddress) {
  for (const char* text : {"localhost", "127.0.0.1:", "127.0.0.1:70000", "host:9a"}) {
    try {
      PrometheusServer server(text);
      FAIL() << text;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage) << text;
    }
  }
}

/// A free port: one that was had a moment ago.
int free_port() { return PrometheusServer("0").port(); }

TEST(Telemetry, TellsFileAndPrometheusTheSame) {
  const tests::TemporaryDirectory directory;
  const auto ranks = cluster::make_self_communicator();
  const int port = free_port();
  Telemetry telemetry(directory.path(), std::to_string(port), 0, 10, *ranks);
  telemetry.report("train", 3, {{"loss", 0.5}, {"samples_per_second", 120}, {"peak_share", 0.75}});
  telemetry.report("validation", 3, {{"loss", 0.625}});
  const auto served = samples_of(http(port, "GET /metrics HTTP/1.0\r\n\r\n"));
  EXPECT_EQ(served, (std::map<std::string, std::string>{{"pathline_loss", "0.5"},
                                                        {"pathline_peak_share", "0.75"},
                                                        {"pathline_samples_per_second", "120"},
                                                        {"pathline_step", "3"},
                                                        {"pathline_validation_loss", "0.625"}}));
  std::ifstream file(directory.path() + "/metrics.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(file, line));
  EXPECT_EQ(nlohmann::json::parse(line)["samples_per_second"], 120);
}

TEST(Telemetry, WritesRatesForPeople) {
  EXPECT_EQ(human_flops_rate(2.5e8), "0.25 GFLOP/s");
  EXPECT_EQ(human_flops_rate(123.4e9), "123 GFLOP/s");
  EXPECT_EQ(human_flops_rate(1.05e15), "1.05 PFLOP/s");
}

}  // namespace
}  // namespace pathline::trainer
