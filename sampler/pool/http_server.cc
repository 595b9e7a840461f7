// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/http_server.h"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "sampler/pool/wire.h"

namespace pathline::pool {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Message = http::response<http::string_body>;

std::chrono::steady_clock::duration as_duration(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
}

Message message_of(const Response& response, bool keep_alive) {
  Message message(static_cast<http::status>(response.status), 11);
  message.set(http::field::content_type, response.type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.body() = response.body;
  message.keep_alive(keep_alive);
  message.prepare_payload();
  return message;
}

std::string text_of(beast::string_view view) { return {view.data(), view.size()}; }

/// What a request that cannot be read deserves; status 0: no answer at all.
Response refusal(const beast::error_code& error) {
  if (error == http::error::body_limit) return problem(413, "The body is too long.");
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return problem(431, "The header is too long.");
  if (error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return problem(400, "This is no HTTP request: " + error.message() + ".");
  }
  return {0, "", "", {}};
}

}  // namespace

Response problem(int status, const std::string& detail) {
  const Json body = {{"type", "about:blank"},
                     {"title", text_of(http::obsolete_reason(static_cast<http::status>(status)))},
                     {"status", status},
                     {"detail", detail}};
  return {status, "application/problem+json", dumped(body) + "\n", {}};
}

class HttpServer::Impl {
 public:
  Impl(const Address& address, Handler handler, const HttpLimits& limits)
      : acceptor_(io_), handler_(std::move(handler)), limits_(limits) {
    try {
      const auto endpoints = tcp::resolver(io_).resolve(address.host, address.port);
      const tcp::endpoint endpoint = *endpoints.begin();
      acceptor_.open(endpoint.protocol());
      acceptor_.set_option(tcp::acceptor::reuse_address(true));
      acceptor_.bind(endpoint);
      acceptor_.listen(1024);
    } catch (const boost::system::system_error& error) {
      throw core::Error(core::ExitCode::kEnvironment,
                        core::concat("cannot listen on ", address.host, ":", address.port, ": ", error.code().message(),
                                     " (clients and workers could not reach the pool). Choose another --listen."));
    }
  }

  tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
  int connections() const { return connections_; }

  void run(const std::function<void()>& every_tick, double tick_seconds) {
    asio::co_spawn(io_, accept(), asio::detached);
    asio::co_spawn(io_, tick(every_tick, tick_seconds), [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
    io_.run();
  }
  void stop() { io_.stop(); }

 private:
  asio::awaitable<void> tick(const std::function<void()>& every_tick, double seconds) {
    asio::steady_timer timer(io_);
    for (;;) {
      every_tick();
      timer.expires_after(as_duration(seconds));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  asio::awaitable<void> accept() {
    asio::steady_timer timer(io_);
    for (;;) {
      boost::system::error_code error;
      tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) {  // no more descriptors: connections that end give some back
        timer.expires_after(std::chrono::milliseconds(100));
        co_await timer.async_wait(asio::use_awaitable);
      } else if (connections_ < limits_.connections) {
        asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
      }  // else the socket is closed: better one client refused than all starved
    }
  }

  struct Counted {
    explicit Counted(int& of) : count(of) { ++count; }
    ~Counted() { --count; }
    int& count;
  };

  asio::awaitable<void> serve(tcp::socket socket) {
    const Counted counted(connections_);
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(limits_.header_bytes + limits_.body_bytes);
    beast::error_code error;
    stream.socket().set_option(tcp::no_delay(true), error);
    bool going_on = true;
    for (int served = 1; going_on; ++served) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
      parser.body_limit(limits_.body_bytes);
      stream.expires_after(as_duration(limits_.seconds));  // one deadline, however small the pieces
      co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
      Response response = error ? refusal(error) : handled(parser.get());
      if (response.status == 0) break;
      going_on = !error && parser.get().keep_alive() && served < limits_.requests_per_connection;
      Message message = message_of(response, going_on);
      stream.expires_after(as_duration(limits_.seconds));
      co_await http::async_write(stream, message, asio::redirect_error(asio::use_awaitable, error));
      going_on = going_on && !error;
    }
    co_await drained(stream);
  }

  /// Ends a connection so that the last answer arrives: data that were never read would reset it.
  asio::awaitable<void> drained(beast::tcp_stream& stream) {
    beast::error_code error;
    stream.socket().shutdown(tcp::socket::shutdown_send, error);
    std::array<char, 4096> rest;
    stream.expires_after(std::chrono::seconds(1));
    std::size_t left =
        4 * (limits_.header_bytes + limits_.body_bytes);  // the timer alone never stops one who always sends
    while (!error && left >= rest.size()) {
      left -= co_await stream.async_read_some(asio::buffer(rest), asio::redirect_error(asio::use_awaitable, error));
    }
  }

  Response handled(const http::request<http::string_body>& request) {
    try {
      return handler_({text_of(request.method_string()), text_of(request.target()),
                       text_of(request[http::field::authorization]), request.body()});
    } catch (const std::exception& error) {
      core::log_error("a request failed: ", error.what());
      return problem(500, "This request failed; the dispatcher's log says why.");
    }
  }

  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  Handler handler_;
  HttpLimits limits_;
  int connections_ = 0;
};

HttpServer::HttpServer(const Address& address, Handler handler, const HttpLimits& limits)
    : impl_(std::make_unique<Impl>(address, std::move(handler), limits)) {}
HttpServer::~HttpServer() = default;
int HttpServer::port() const { return impl_->endpoint().port(); }
bool HttpServer::loopback() const { return impl_->endpoint().address().is_loopback(); }
int HttpServer::connections() const { return impl_->connections(); }
void HttpServer::run(const std::function<void()>& every_tick, double tick_seconds) {
  impl_->run(every_tick, tick_seconds);
}
void HttpServer::stop() { impl_->stop(); }

}  // namespace pathline::pool
