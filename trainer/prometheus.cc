// SPDX-License-Identifier: Apache-2.0
// One small page to one client at a time: plain sockets suffice. A client may take kPatience to send its request and as
// long to take the answer; it delays other clients, never training.
#include "trainer/prometheus.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/machine.h"

namespace pathline::trainer {
namespace {

constexpr double kPatience = 2.0;              // seconds
constexpr std::size_t kLongestRequest = 8192;  // bytes

const std::map<std::string, std::string>& helps() {
  static const std::map<std::string, std::string> texts = {
      {"step", "Training steps done."},
      {"loss", "Mean loss over the last global batch."},
      {"gradient_norm", "Global gradient norm before clipping."},
      {"lr", "Learning rate."},
      {"position", "Samples taken since the start of the run."},
      {"samples_per_second", "Training samples a second, over all ranks, since the last report."},
      {"model_flops_per_second", "Floating-point operations of the model a second, over all ranks."},
      {"peak_flops_per_second", "Floating-point operations a second that all ranks' devices can do."},
      {"peak_share", "model_flops_per_second over the peak of all ranks' devices."},
      {"data_wait_share", "Share of the time that the slowest rank waited for data."},
      {"compute_seconds", "Forward and backward of the last step."},
      {"reduce_seconds", "Gradient reduction of the last step."},
      {"exchange_hidden_seconds", "Reductions and gathers of the last step that ran beside computing."},
      {"exchange_exposed_seconds", "Reductions and gathers of the last step that somebody waited for."},
      {"update_seconds", "Optimizer and averages of the last step."},
      {"peak_memory_bytes", "Most resident memory of any rank."},
  };
  return texts;
}

/// Letters, digits and underscores alone make the name of a metric.
std::string metric_name(const std::string& name) {
  std::string result = "pathline_" + name;
  for (char& letter : result) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  }
  return result;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::ostringstream text;
  text.precision(17);
  text << value;
  return text.str();
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

struct Address {
  std::string host, port;
};

Address parse_address(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  Address address{colon == std::string::npos || colon == 0 ? "127.0.0.1" : text.substr(0, colon),
                  colon == std::string::npos ? text : text.substr(colon + 1)};
  const bool digits = !address.port.empty() && address.port.size() <= 5 &&
                      address.port.find_first_not_of("0123456789") == std::string::npos;
  PL_CHECK(
      digits && std::stoi(address.port) <= 65535, core::ExitCode::kUsage, "log.prometheus = \"", text,
      "\" is no address to serve metrics at. Use \"9400\" for this machine alone, or \"0.0.0.0:9400\" for everybody.");
  return address;
}

File listen_at(const std::string& text) {
  const Address address = parse_address(text);
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &wanted, &found);
  PL_CHECK(code == 0, core::ExitCode::kUsage, "log.prometheus = \"", text, "\": ", ::gai_strerror(code),
           " (metrics are to be served there). Give an address of this machine, such as \"0.0.0.0:9400\".");
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  File file(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;  // a restart need not wait for the connections of the run before
  const bool listening = file.get() >= 0 &&
                         ::setsockopt(file.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
                         ::bind(file.get(), found->ai_addr, found->ai_addrlen) == 0 && ::listen(file.get(), 16) == 0;
  PL_CHECK(listening, core::ExitCode::kEnvironment, "cannot serve metrics at log.prometheus = \"", text,
           "\": ", core::errno_text(),
           " (another run on this machine may be using the port). Give another port with --set "
           "log.prometheus='\"9401\"', or \"\" to serve none.");
  return file;
}

File stop_event() {
  File event(::eventfd(0, EFD_CLOEXEC));
  PL_CHECK(event.get() >= 0, core::ExitCode::kEnvironment,
           "cannot serve metrics (log.prometheus): ", core::errno_text(),
           ". Raise the limit of open files (ulimit -n), or set log.prometheus to \"\".");
  return event;
}

std::string answer(const std::string& status, const std::string& body) {
  return core::concat("HTTP/1.1 ", status,
                      "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: ", body.size(),
                      "\r\nConnection: close\r\n\r\n", body);
}

std::string answer_to(const std::string& request, const std::string& metrics) {
  const std::string line = request.substr(0, request.find("\r\n"));
  if (!line.starts_with("GET ")) return answer("405 Method Not Allowed", "Only GET is served here.\n");
  if (!line.starts_with("GET /metrics ") && !line.starts_with("GET /metrics?")) {
    return answer("404 Not Found", "Only /metrics is served here.\n");
  }
  return answer("200 OK", metrics);
}

}  // namespace

std::string prometheus_text(const std::map<std::string, double>& values) {
  std::string text;
  for (const auto& [name, value] : values) {
    const std::string metric = metric_name(name);
    const auto help = helps().find(name);
    if (help != helps().end()) text += "# HELP " + metric + " " + help->second + "\n";
    text += "# TYPE " + metric + " gauge\n" + metric + " " + number(value) + "\n";
  }
  return text;
}

class PrometheusServer::Worker {
 public:
  explicit Worker(const std::string& address)
      : listener_(listen_at(address)), stop_(stop_event()), thread_([this] { serve(); }) {}

  ~Worker() {
    const std::uint64_t one = 1;
    PL_ASSERT(::write(stop_.get(), &one, sizeof(one)) == sizeof(one));
    thread_.join();
  }

  int port() const {
    sockaddr_storage bound{};
    socklen_t length = sizeof(bound);
    char port[NI_MAXSERV] = "0";
    PL_ASSERT(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &length) == 0);
    ::getnameinfo(reinterpret_cast<sockaddr*>(&bound), length, nullptr, 0, port, sizeof(port), NI_NUMERICSERV);
    return std::stoi(port);
  }

  void publish(std::string text) {
    const std::lock_guard lock(mutex_);
    text_ = std::move(text);
  }

 private:
  enum class Woken { kReady, kTimeout, kStop };

  /// Until `file` is ready for `events`, `deadline` (monotonic; 0: none) has passed or the server is to stop.
  Woken wait(int file, short events, double deadline) const {
    while (true) {
      pollfd watched[2] = {{file, events, 0}, {stop_.get(), POLLIN, 0}};
      const double left = deadline - core::monotonic_seconds();
      const int ready = ::poll(watched, 2, deadline == 0 ? -1 : std::max(0, static_cast<int>(left * 1000) + 1));
      if (watched[1].revents != 0) return Woken::kStop;
      if (ready > 0) return Woken::kReady;
      if (deadline != 0 && core::monotonic_seconds() >= deadline) return Woken::kTimeout;
    }
  }

  void serve() {
    while (wait(listener_.get(), POLLIN, 0) == Woken::kReady) {
      const File client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (client.get() < 0) {  // it has gone again, or descriptors are short for the moment
        wait(-1, 0, core::monotonic_seconds() + 0.1);
        continue;
      }
      const std::string request = receive(client.get());
      if (!request.empty()) send(client.get(), answer_to(request, text()));
    }
  }

  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

  /// The head of the request; empty if none came in time.
  std::string receive(int client) const {
    const double deadline = core::monotonic_seconds() + kPatience;
    std::string request;
    while (request.find("\r\n\r\n") == std::string::npos) {
      char piece[1024];
      if (request.size() > kLongestRequest || wait(client, POLLIN, deadline) != Woken::kReady) return {};
      const ssize_t got = ::recv(client, piece, sizeof(piece), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return {};
      if (got > 0) request.append(piece, static_cast<std::size_t>(got));
    }
    return request;
  }

  void send(int client, const std::string& message) const {
    const double deadline = core::monotonic_seconds() + kPatience;
    std::size_t sent = 0;
    while (sent < message.size() && wait(client, POLLOUT, deadline) == Woken::kReady) {
      const ssize_t count = ::send(client, message.data() + sent, message.size() - sent, MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN && errno != EINTR) return;
      if (count > 0) sent += static_cast<std::size_t>(count);
    }
    ::shutdown(client, SHUT_WR);
  }

  File listener_, stop_;
  std::mutex mutex_;
  std::string text_;  // guarded by mutex_
  std::thread thread_;
};

PrometheusServer::PrometheusServer(const std::string& address) : worker_(std::make_unique<Worker>(address)) {}
PrometheusServer::~PrometheusServer() = default;

int PrometheusServer::port() const { return worker_->port(); }
void PrometheusServer::publish(std::string text) { worker_->publish(std::move(text)); }

}  // namespace pathline::trainer
