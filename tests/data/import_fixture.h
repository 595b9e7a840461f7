// SPDX-License-Identifier: Apache-2.0
// Sources in miniature on disk, imported into a store that is then read back.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/import_plan.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {

using Bytes = std::vector<std::uint8_t>;

inline void write(const std::string& path, std::span<const std::byte> bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}
inline void write(const std::string& path, const Bytes& bytes) { write(path, std::as_bytes(std::span(bytes))); }
inline Image flat(std::uint8_t value, std::int64_t size = 4, std::int64_t channels = 3) {
  return Image(size, size, channels, value);
}

class Import : public testing::Test {
 protected:
  Imported import(const std::string& source, const ImportOptions& options = {}, const std::string& under = "") {
    return import(*open_pictures(files_, source, under), options);
  }
  Imported import(const PictureSource& pictures, ImportOptions options = {}) {
    options.threads = 2;
    const auto plan = plan_import(pictures, options, {store_, part_bytes_, overwrite_});
    const auto done = import_pictures(pictures, options, plan, [](std::int64_t) {});
    result_ = open_source({plan.in_parts() ? plan.index : store_});
    return done;
  }
  Bytes item(std::int64_t index) const {
    Bytes out(result_->info().item_bytes());
    result_->read(index, std::as_writable_bytes(std::span(out)));
    return out;
  }
  core::Error failure_of(const std::string& source, ImportOptions options = {}, const std::string& under = "") {
    try {
      import(source, options, under);
    } catch (const core::Error& error) {
      return error;
    }
    ADD_FAILURE() << source << " was imported";
    return {core::ExitCode::kInternal, ""};
  }

  core::PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
  std::string store_ = directory_ / "out.h5";
  std::uint64_t part_bytes_ = 0;
  bool overwrite_ = true;
  std::unique_ptr<ShardSource> result_;
};

}  // namespace pathline::data
