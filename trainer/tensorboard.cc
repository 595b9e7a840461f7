// SPDX-License-Identifier: Apache-2.0
#include "trainer/tensorboard.h"

#include <unistd.h>

#include <bit>
#include <cstring>
#include <span>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/machine.h"

namespace pathline::trainer {
namespace {

template <class Integer>
std::string little_endian(Integer value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

std::string masked_crc(const std::string& bytes) {
  const std::uint32_t crc = core::crc32c(std::as_bytes(std::span(bytes)));
  return little_endian(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
}

// Protocol buffer wire format: tag = (field << 3) | type, with type 0 varint, 1 eight bytes, 2 length-delimited, 5
// four.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}
std::string double_field(int field, double value) { return varint(field << 3 | 1) + little_endian(value); }
std::string float_field(int field, float value) { return varint(field << 3 | 5) + little_endian(value); }
std::string integer_field(int field, std::uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes_field(int field, const std::string& value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}

}  // namespace

static_assert(std::endian::native == std::endian::little);

std::string tfrecord_frame(const std::string& bytes) {
  const std::string length = little_endian(static_cast<std::uint64_t>(bytes.size()));
  return length + masked_crc(length) + bytes + masked_crc(bytes);
}

std::string scalar_event(std::uint64_t step, double wall_seconds, const std::map<std::string, double>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
  }
  return double_field(1, wall_seconds) + integer_field(2, step) + bytes_field(5, summary);
}

TensorBoardWriter::TensorBoardWriter(const std::string& directory)
    : file_(core::concat(directory, "/events.out.tfevents.", static_cast<std::int64_t>(core::wall_seconds()), ".",
                         core::host_name(), ".", ::getpid()),
            "TensorBoard events") {
  append_whole(file_.path(), tfrecord_frame(double_field(1, core::wall_seconds()) + bytes_field(3, "brain.Event:2")));
}

void TensorBoardWriter::write(std::uint64_t step, double wall_seconds, const std::map<std::string, double>& scalars) {
  file_.append(tfrecord_frame(scalar_event(step, wall_seconds, scalars)));
}

}  // namespace pathline::trainer
