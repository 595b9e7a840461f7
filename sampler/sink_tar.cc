// SPDX-License-Identifier: Apache-2.0
// POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format") as WebDataset readers take it: ID.png, ID.cls
// adjacent.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <string_view>

#include "core/error.h"
#include "core/file_system.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kBuffer = std::size_t{4} << 20;

void put_text(std::array<char, kBlock>& block, std::size_t at, std::string_view text) {
  std::ranges::copy(text, block.begin() + static_cast<std::ptrdiff_t>(at));
}

/// `digits` octal digits and a zero byte.
void put_octal(std::array<char, kBlock>& block, std::size_t at, int digits, std::uint64_t value) {
  std::array<char, 24> text;
  std::snprintf(text.data(), text.size(), "%0*llo", digits, static_cast<unsigned long long>(value));
  put_text(block, at, text.data());
}

std::array<char, kBlock> header_of(const std::string& name, std::uint64_t bytes, char type) {
  PL_ASSERT(name.size() < 100);
  std::array<char, kBlock> block{};
  put_text(block, 0, name);
  put_octal(block, 100, 7, 0644);
  put_octal(block, 108, 7, 0);
  put_octal(block, 116, 7, 0);
  put_octal(block, 124, 11, bytes);
  put_octal(block, 136, 11, 0);
  put_text(block, 148, "        ");  // the checksum is taken over spaces
  block[156] = type;
  put_text(block, 257,
           std::string_view("ustar\0"
                            "00",
                            8));
  unsigned sum = 0;
  for (const char letter : block) sum += static_cast<unsigned char>(letter);
  put_octal(block, 148, 6, sum);
  return block;
}

/// "LENGTH comment=TEXT\n", where LENGTH counts its own digits.
std::string pax_comment(const std::string& text) {
  const std::string rest = " comment=" + text + "\n";
  std::size_t length = rest.size() + 1;
  while (std::to_string(length).size() + rest.size() != length) ++length;
  return std::to_string(length) + rest;
}

class TarSink final : public OrderedSink {
 public:
  explicit TarSink(const SinkOptions& options)
      : OrderedSink(options),
        temporary_(core::concat(options.path, ".", ::getpid(), ".tmp")),
        file_(files_.create(temporary_)) {
    const std::string comment = pax_comment(options.description);
    add("pax_global_header", std::as_bytes(std::span(comment)), 'g');
  }

  ~TarSink() override {
    if (!file_) return;
    try {
      file_->close();
      files_.remove(temporary_);
    } catch (const core::Error&) {
      // The failure that brought us here is the one to report.
    }
  }

 private:
  void append(const Record& record) override {
    const std::string stem = id_text(record.id);
    add(stem + ".png", record.item, '0');
    if (!options().labelled) return;
    const std::string label = std::to_string(record.label);
    add(stem + ".cls", std::as_bytes(std::span(label)), '0');
  }

  void add(const std::string& name, std::span<const std::byte> content, char type) {
    const auto header = header_of(name, content.size(), type);
    const auto bytes = std::as_bytes(std::span(header));
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    buffer_.insert(buffer_.end(), content.begin(), content.end());
    buffer_.resize((buffer_.size() + kBlock - 1) / kBlock * kBlock);
    if (buffer_.size() >= kBuffer) flush();
  }

  void flush() {
    file_->append(buffer_);
    buffer_.clear();
  }

  void commit() override {
    buffer_.resize(buffer_.size() + 2 * kBlock);  // the end mark
    flush();
    file_->sync();
    file_->close();
    files_.rename(temporary_, options().path);
    file_.reset();
    files_.sync_directory(core::parent_of(options().path));
  }

  core::PosixFileSystem files_;
  const std::string temporary_;
  std::unique_ptr<core::WritableFile> file_;
  std::vector<std::byte> buffer_;  // whole blocks
};

}  // namespace

std::unique_ptr<Sink> make_tar_sink(const SinkOptions& options) { return std::make_unique<TarSink>(options); }

}  // namespace pathline::sampler
