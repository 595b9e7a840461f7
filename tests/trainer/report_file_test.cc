// SPDX-License-Identifier: Apache-2.0
// /dev/full, which takes no byte, stands for a full disk.
#include "trainer/report_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cluster/self_communicator.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/log.h"
#include "tests/support/temporary_directory.h"
#include "trainer/telemetry.h"

namespace pathline::trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

class ReportFiles : public testing::Test {
 protected:
  ReportFiles() { core::configure_log({.rank = 0, .ranks = 1, .file = directory_ / "log.txt"}); }
  ~ReportFiles() override { core::configure_log({}); }

  void fill_disk() { std::filesystem::create_symlink("/dev/full", path_); }
  void free_space() { std::filesystem::remove(path_); }
  std::string text(const std::string& path) { return core::read_text(files_, path); }
  std::string log() { return text(directory_ / "log.txt"); }

  tests::TemporaryDirectory directory_;
  const std::string path_ = directory_ / "metrics.jsonl";
  core::PosixFileSystem files_;
};

TEST_F(ReportFiles, WhatAFullDiskRefusesIsSaidOnceCountedAndTriedAgain) {
  ReportFile file(path_, "lines");
  fill_disk();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(file.append("lost\n"));
  EXPECT_EQ(file.lost(), 3);
  EXPECT_THAT(log(), HasSubstr("cannot write " + path_ + ": No space left on device"));
  EXPECT_THAT(log(), HasSubstr("Training goes on"));
  EXPECT_EQ(log().find("Training goes on"), log().rfind("Training goes on"));
  free_space();
  EXPECT_TRUE(file.append("kept\n"));
  EXPECT_THAT(log(), HasSubstr(path_ + " can be written again; 3 lines are lost."));
  EXPECT_TRUE(file.append("and more\n"));
  EXPECT_EQ(text(path_), "kept\nand more\n");
  EXPECT_EQ(file.lost(), 0);
}

TEST_F(ReportFiles, AFileThatCannotBeMadeIsLostToo) {
  ReportFile file(directory_ / "none/metrics.jsonl", "lines");
  EXPECT_FALSE(file.append("lost\n"));
  EXPECT_THAT(log(), HasSubstr("cannot append to " + directory_.path() + "/none/metrics.jsonl"));
  EXPECT_THROW(append_whole(directory_ / "none/metrics.jsonl", "lost\n"), core::Error);
}

TEST_F(ReportFiles, TelemetryGoesOnWithoutItsFiles) {
  fill_disk();
  Telemetry telemetry(directory_.path(), "", 0, 10, *cluster::make_self_communicator());
  telemetry.note("start", 0, {{"text", "x"}});
  telemetry.report("train", 1, {{"loss", 0.5}});
  free_space();
  telemetry.report("train", 2, {{"loss", 0.25}});
  EXPECT_THAT(text(path_), HasSubstr("\"step\":2"));
  EXPECT_THAT(text(path_), Not(HasSubstr("\"step\":1")));
  EXPECT_THAT(log(), HasSubstr("2 lines are lost"));
}

}  // namespace
}  // namespace pathline::trainer
