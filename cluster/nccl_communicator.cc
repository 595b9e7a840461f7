// SPDX-License-Identifier: Apache-2.0
#include "cluster/nccl_communicator.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>

#include "cluster/agree.h"
#include "cluster/nccl_watch.h"
#include "core/cuda_error.h"
#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"

namespace pathline::cluster {
namespace {

constexpr double kPatienceAtTheEnd = 5;  // seconds, for finalize and abort
constexpr std::chrono::microseconds kPause{50};

std::string version_text(int code) { return core::concat(code / 10000, ".", code / 100 % 100, ".", code % 100); }

int loaded_version() {
  int code = 0;
  const ncclResult_t result = ncclGetVersion(&code);
  PL_CHECK(result == ncclSuccess, core::ExitCode::kEnvironment,
           "NCCL does not say its version: ", ncclGetErrorString(result), ". Reinstall torch with its NCCL package.");
  return code;
}

void check_version() {
  const int loaded = loaded_version();
  PL_CHECK(loaded / 10000 == NCCL_MAJOR, core::ExitCode::kEnvironment, "NCCL ", version_text(loaded),
           " was loaded, but the program was built for ", version_text(NCCL_VERSION_CODE),
           " (another major version has other calls). Remove the other libnccl.so.2 from LD_LIBRARY_PATH, ",
           "or build again.");
}

/// Waits until NCCL has dealt with what it was asked for, which may be later than its call returns.
ncclResult_t settled(ncclComm_t communicator, ncclResult_t result, double seconds) {
  const double start = core::monotonic_seconds();
  while (result == ncclInProgress && core::monotonic_seconds() - start < seconds) {
    std::this_thread::sleep_for(kPause);
    const ncclResult_t asked = ncclCommGetAsyncError(communicator, &result);
    if (asked != ncclSuccess) return asked;
  }
  return result;
}

void check_nccl(ncclResult_t result, const char* what, ncclComm_t communicator) {
  const bool lost = result == ncclInProgress || result == ncclRemoteError || result == ncclSystemError;
  PL_CHECK(result == ncclSuccess, lost ? core::ExitCode::kRankLost : core::ExitCode::kEnvironment, what, " failed: ",
           result == ncclInProgress ? "the other ranks did not answer in time" : ncclGetErrorString(result), " (",
           ncclGetLastError(communicator),
           "). Look for a rank that ended, and at the network: NCCL_DEBUG=INFO tells what NCCL does, ",
           "NCCL_SOCKET_IFNAME names the interface to use.");
}

bool equal_parts(std::span<const std::size_t> offsets) {
  for (std::size_t r = 1; r + 1 < offsets.size(); ++r) {
    if (offsets[r + 1] - offsets[r] != offsets[1] - offsets[0]) return false;
  }
  return true;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> host, int device, CUstream_st* stream, NcclDeadlines deadlines)
      : host_(std::move(host)),
        device_(device),
        stream_(stream),
        deadlines_(deadlines),
        exceptions_(std::uncaught_exceptions()) {
    use_device();
    ncclUniqueId id{};
    together(*host_, [&] {
      check_version();
      if (rank() == 0) check_nccl(ncclGetUniqueId(&id), "preparing NCCL", nullptr);
    });
    id = word_of_root(*host_, id);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // or nothing could end an initialisation that some rank never joins
    const ncclResult_t started = ncclCommInitRankConfig(&nccl_, size(), id, rank(), &config);
    const ncclResult_t state = nccl_ == nullptr ? started : settled(nccl_, started, deadlines_.init_seconds);
    if (state != ncclSuccess && nccl_ != nullptr) abort_nccl(nccl_, kPatienceAtTheEnd);
    check_nccl(state, "joining the ranks' GPUs by NCCL", nullptr);
    watch_.emplace(nccl_, device_, deadlines_.call_seconds, [this](const std::string& reason) { give_up(reason); });
  }

  ~NcclCommunicator() override {
    watch_.reset();
    if (cancelled_) return;
    // While an exception unwinds the others will not come to an orderly end with us.
    const bool orderly = std::uncaught_exceptions() == exceptions_ &&
                         settled(nccl_, ncclCommFinalize(nccl_), kPatienceAtTheEnd) == ncclSuccess;
    if (orderly)
      ncclCommDestroy(nccl_);
    else
      abort_nccl(nccl_, kPatienceAtTheEnd);
  }

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  void barrier() override { host_->barrier(); }

  void broadcast(std::span<std::byte> data, int root) override {
    call("a broadcast",
         [&] { return ncclBroadcast(data.data(), data.data(), data.size(), ncclInt8, root, nccl_, stream_); });
  }

  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    PL_ASSERT(all.size() == mine.size() * static_cast<std::size_t>(size()));
    call("a gather", [&] { return ncclAllGather(mine.data(), all.data(), mine.size(), ncclInt8, nccl_, stream_); });
  }

  void all_gather_in_place(std::span<std::byte> all, std::span<const std::size_t> offsets) override {
    PL_ASSERT(offsets.size() == static_cast<std::size_t>(size()) + 1 && offsets.back() <= all.size());
    const auto part = [&](int r) { return all.subspan(offsets[r], offsets[r + 1] - offsets[r]); };
    call("a gather of parameters", [&] {
      if (equal_parts(offsets)) {
        return ncclAllGather(part(rank()).data(), part(0).data(), part(0).size(), ncclInt8, nccl_, stream_);
      }
      return each_rank([&](int r) {
        if (part(r).empty()) return ncclSuccess;
        return ncclBroadcast(part(r).data(), part(r).data(), part(r).size(), ncclInt8, r, nccl_, stream_);
      });
    });
  }

  void all_to_all(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive) override {
    PL_ASSERT(send.size() == static_cast<std::size_t>(size()) && receive.size() == send.size());
    const auto from = send[rank()];
    const auto to = receive[rank()];
    PL_ASSERT(from.size() == to.size());
    use_device();
    if (!from.empty() && from.data() != to.data()) {
      core::check_cuda(cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDeviceToDevice, stream_),
                       "copying gradients");
    }
    const auto message = [](const auto& bytes) { return !bytes.empty(); };
    if (std::ranges::none_of(send, message) && std::ranges::none_of(receive, message)) return;
    call("an exchange of gradients", [&] {
      return each_rank([&](int r) {
        if (r == rank()) return ncclSuccess;
        ncclResult_t result = ncclSuccess;
        if (!send[r].empty()) result = ncclSend(send[r].data(), send[r].size(), ncclInt8, r, nccl_, stream_);
        if (accepted(result) && !receive[r].empty()) {
          result = ncclRecv(receive[r].data(), receive[r].size(), ncclInt8, r, nccl_, stream_);
        }
        return result;
      });
    });
  }

  void reduce_scatter(std::span<const float> in, std::span<const std::size_t> offsets, std::span<float> out) override {
    PL_ASSERT(offsets.size() == static_cast<std::size_t>(size()) + 1 && offsets.back() <= in.size());
    PL_ASSERT(out.size() == offsets[rank() + 1] - offsets[rank()]);
    call("a reduction of gradients", [&] {
      if (equal_parts(offsets)) {
        return ncclReduceScatter(in.data() + offsets[0], out.data(), out.size(), ncclFloat32, ncclSum, nccl_, stream_);
      }
      return each_rank([&](int r) {
        const std::size_t count = offsets[r + 1] - offsets[r];
        if (count == 0) return ncclSuccess;
        return ncclReduce(in.data() + offsets[r], out.data(), count, ncclFloat32, ncclSum, r, nccl_, stream_);
      });
    });
  }

  void all_reduce(std::span<double> values, Reduction reduction) override { host_->all_reduce(values, reduction); }
  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    host_->all_reduce(values, reduction);
  }
  std::unique_ptr<Request> start_all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    return host_->start_all_reduce(values, reduction);
  }
  std::unique_ptr<Request> start_send(std::span<const std::byte> message, int to) override {
    return host_->start_send(message, to);
  }
  std::optional<int> receive_arrived(std::span<std::byte> message) override { return host_->receive_arrived(message); }

  std::unique_ptr<Communicator> subset(std::span<const int> members) override {
    return std::make_unique<NcclCommunicator>(host_->subset(members), device_, stream_, deadlines_);
  }

  void cancel() override {
    if (!cancelled_.exchange(true)) {
      watch_->stop();
      abort_nccl(nccl_, kPatienceAtTheEnd);  // ends its kernels, and with them a wait for the stream
    }
    host_->cancel();
  }

  [[noreturn]] void abort(int exit_code) override {
    abort_nccl(nccl_, kPatienceAtTheEnd);
    host_->abort(exit_code);
    std::abort();  // not reached: the compiler does not see it through the pointer
  }

 private:
  static bool accepted(ncclResult_t result) { return result == ncclSuccess || result == ncclInProgress; }

  /// The current device belongs to the thread.
  void use_device() const { core::check_cuda(cudaSetDevice(device_), "choosing the GPU"); }

  /// One NCCL group: what `work` asks for happens at once.
  template <class Work>
  void call(const char* what, const Work& work) {
    check_not_cancelled(what);
    use_device();
    watch_->begin(what, stream_);
    ncclGroupStart();
    const ncclResult_t asked = work();
    const ncclResult_t ended = ncclGroupEnd();
    const ncclResult_t result = accepted(asked) ? settled(nccl_, ended, deadlines_.init_seconds) : asked;
    check_not_cancelled(what);
    check_nccl(result, what, nccl_);
    watch_->end(stream_);
  }

  void check_not_cancelled(const char* what) const {
    PL_CHECK(!cancelled_, core::ExitCode::kRankLost, what, " was given up (this rank ends because of another error). ",
             "Look for the first error in the log.");
  }

  /// work(r) for every rank until one fails.
  template <class Work>
  ncclResult_t each_rank(const Work& work) const {
    ncclResult_t result = ncclSuccess;
    for (int r = 0; r < size() && accepted(result); ++r) result = work(r);
    return result;
  }

  /// On the watch's thread.
  [[noreturn]] void give_up(const std::string& reason) {
    core::log_error("rank ", rank(), ": ", reason, ". A rank is lost or hangs; all end now and can be started again.");
    abort(static_cast<int>(core::ExitCode::kRankLost));
  }

  std::unique_ptr<Communicator> host_;
  int device_;
  CUstream_st* stream_;
  NcclDeadlines deadlines_;
  int exceptions_;
  ncclComm_t nccl_ = nullptr;  // gone once cancelled
  std::atomic<bool> cancelled_{false};
  std::optional<NcclWatch> watch_;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host, int device,
                                                     CUstream_st* stream, NcclDeadlines deadlines) {
  const bool first = host->rank() == 0;
  auto ranks = std::make_unique<NcclCommunicator>(std::move(host), device, stream, deadlines);
  if (first) {
    core::log_info("NCCL ", nccl_version(), " (built for ", version_text(NCCL_VERSION_CODE), ") joins ", ranks->size(),
                   ranks->size() == 1 ? " GPU" : " GPUs");
  }
  return ranks;
}

std::string nccl_version() { return version_text(loaded_version()); }

}  // namespace pathline::cluster
