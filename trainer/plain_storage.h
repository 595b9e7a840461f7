// SPDX-License-Identifier: Apache-2.0
// What storage can do, asked as plainly as possible: the bounds beside which checkpoints are measured. Errors throw
// ExitCode::kEnvironment with the path.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace pathline::trainer {

/// Memory for O_DIRECT, aligned to and made of huge pages where there are any; touched.
class AlignedMemory {
 public:
  explicit AlignedMemory(std::size_t bytes);
  ~AlignedMemory();
  AlignedMemory(const AlignedMemory&) = delete;
  AlignedMemory& operator=(const AlignedMemory&) = delete;
  std::span<std::byte> bytes() { return {data_, size_}; }

 private:
  std::byte* data_;
  std::size_t size_;
};

enum class PageCache { kThrough, kPast };

/// A new file, synced. kPast: false where the storage refuses O_DIRECT. The size is cut to whole blocks of 4 KiB.
bool write_plainly(const std::string& path, std::span<const std::byte> bytes, PageCache cache);
/// From the start of the file, as much as `out` takes (whole blocks of 4 KiB); false as above.
bool read_plainly(const std::string& path, std::span<std::byte> out, PageCache cache);
/// So that the file's next reader comes to the storage.
void drop_from_page_cache(const std::string& path);

}  // namespace pathline::trainer
