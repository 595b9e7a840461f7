// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/http_client.h"

#include <utility>  // Boost 1.74 forgets it

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

namespace pathline::pool {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;  // the list of a large job's parts is long

asio::awaitable<void> exchange(asio::io_context& io, const Address& address, std::chrono::duration<double> deadline,
                               const http::request<http::string_body>& request, Answer& answer) {
  tcp::resolver resolver(io);
  const auto found = co_await resolver.async_resolve(address.host, address.port, asio::use_awaitable);
  beast::tcp_stream stream(io);
  stream.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline));
  co_await stream.async_connect(found, asio::use_awaitable);
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMostBytes);
  co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
  answer.status = static_cast<int>(parser.get().result_int());
  answer.body = std::move(parser.get().body());
}

}  // namespace

HttpClient::HttpClient(Address address, std::string token, double seconds)
    : address_(std::move(address)), token_(std::move(token)), seconds_(seconds) {}

Answer HttpClient::request(const std::string& method, const std::string& target, const std::string& body) const {
  http::request<http::string_body> request(http::string_to_verb(method), target, 11);
  request.set(http::field::host, address_.host + ":" + address_.port);
  request.set(http::field::authorization, "Bearer " + token_);
  request.set(http::field::connection, "close");
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  Answer answer;
  try {
    asio::io_context io(1);
    std::exception_ptr failure;
    asio::co_spawn(io, exchange(io, address_, std::chrono::duration<double>(seconds_), request, answer),
                   [&](std::exception_ptr error) { failure = error; });
    io.run();
    if (failure) std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    throw Unreachable(core::concat("the pool at http://", address_.host, ":", address_.port,
                                   " does not answer: ", error.code().message(),
                                   ". Is `pathline pool serve` running, and reachable from here?"));
  }
  return answer;
}

std::string reason_of(const Answer& answer) {
  const auto body = nlohmann::json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (body.is_object() && body.contains("detail") && body["detail"].is_string())
    return body["detail"].get<std::string>();
  return core::concat("HTTP status ", answer.status);
}

std::string HttpClient::ask(const std::string& method, const std::string& target, const std::string& body) const {
  const Answer answer = request(method, target, body);
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  const std::string reason = reason_of(answer);
  if (answer.status == 503) throw Unreachable("the pool cannot do this now: " + reason);
  const bool ours = answer.status >= 400 && answer.status < 500;
  throw core::Error(ours ? core::ExitCode::kUsage : core::ExitCode::kEnvironment, "the pool answers: " + reason);
}

}  // namespace pathline::pool
