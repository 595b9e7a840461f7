// SPDX-License-Identifier: Apache-2.0
// ZIP archives of NumPy arrays, stored and deflated.
#include <zlib.h>

#include "core/file_system.h"
#include "data/npz.h"
#include "tests/fuzz/pictures.h"
#include "tests/support/memory_file_system.h"

namespace pathline::fuzz {

namespace {

void put(Bytes& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
void put(Bytes& out, const std::string& text) { out.insert(out.end(), text.begin(), text.end()); }

Bytes npy(const std::string& descr, const std::string& shape, std::size_t bytes) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(117, ' ');
  Bytes out;
  put(out, "\x93NUMPY");
  put(out, 1, 2);
  put(out, 118, 2);
  put(out, header + "\n");
  for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(i % 3));
  return out;
}

/// A member's fields that both of its headers have.
void put_member(Bytes& out, bool deflated, const Bytes& plain, const Bytes& packed, const std::string& name) {
  put(out, 20, 2), put(out, 0, 2), put(out, deflated ? 8 : 0, 2), put(out, 0, 4);
  put(out, crc32(0, plain.data(), static_cast<uInt>(plain.size())), 4);
  put(out, packed.size(), 4), put(out, plain.size(), 4), put(out, name.size(), 2), put(out, 0, 2);
}

/// Without the wrapping of gzip.
Bytes raw_deflated(const Bytes& plain) {
  const Bytes wrapped = gzipped(plain);
  return {wrapped.begin() + 10, wrapped.end() - 8};
}

Bytes zip(const std::vector<std::pair<std::string, Bytes>>& members, bool deflated) {
  Bytes out, directory;
  for (const auto& [name, plain] : members) {
    const Bytes packed = deflated ? raw_deflated(plain) : plain;
    const std::uint64_t place = out.size();
    put(out, 0x04034b50, 4);
    put_member(out, deflated, plain, packed, name);
    put(out, name);
    out.insert(out.end(), packed.begin(), packed.end());
    put(directory, 0x02014b50, 4), put(directory, 20, 2);
    put_member(directory, deflated, plain, packed, name);
    put(directory, 0, 8), put(directory, 0, 2), put(directory, place, 4), put(directory, name);
  }
  const std::uint64_t place = out.size();
  out.insert(out.end(), directory.begin(), directory.end());
  put(out, 0x06054b50, 4), put(out, 0, 4), put(out, members.size(), 2), put(out, members.size(), 2);
  put(out, directory.size(), 4), put(out, place, 4), put(out, 0, 2);
  return out;
}

/// As Pathline writes them, with ZIP64 fields.
Bytes own() {
  tests::MemoryFileSystem files;
  data::NpzWriter writer(files, "a.npz");
  writer.add("arr_0", {"u1", {2, 3, 4, 3}, std::vector<std::byte>(72)});
  writer.add("arr_1", {"i8", {2}, std::vector<std::byte>(16)});
  writer.finish();
  const std::string text = core::read_text(files, "a.npz");
  return {text.begin(), text.end()};
}

}  // namespace

std::vector<Bytes> seeds() {
  const std::vector<std::pair<std::string, Bytes>> set = {{"arr_0.npy", npy("|u1", "2, 3, 4, 3", 72)},
                                                          {"arr_1.npy", npy("<i8", "2,", 16)}};
  const std::vector<std::pair<std::string, Bytes>> other = {
      {"pictures.npy", npy("|u1", "2, 3, 4", 24)}, {"y.npy", npy(">i4", "2,", 8)}, {"s.npy", npy("<f4", "", 4)}};
  return {own(), zip(set, false), zip(set, true), zip(other, true)};
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pathline::fuzz;
  pathline::tests::MemoryFileSystem files;
  expect_answer([&] {
    pathline::core::replace_file(files, "a.npz", {reinterpret_cast<const char*>(data), size});
    expect_answer([&] { import_from(files, "a.npz"); });
    const pathline::data::NpzReader reader(files, "a.npz");
    for (const std::string& name : reader.names()) expect_answer([&] { (void)reader.read(name); });
  });
  return 0;
}
