// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::core {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class Log : public testing::Test {
 protected:
  ~Log() override { configure_log({}); }

  /// What `configure_log(options)` and one line of each level leave on stderr.
  static std::string talk_of(const LogOptions& options) {
    testing::internal::CaptureStderr();
    configure_log(options);
    log_line(LogLevel::kDebug, "fine print");
    log_info("step ", 7);
    log_warning("slow disk {} %s");
    log_error("broken disk");
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(Log, StampsLinesWithTimeAndLevel) {
  EXPECT_THAT(talk_of({}), MatchesRegex("....-..-.. ..:..:.. step 7\n"
                                        "....-..-.. ..:..:.. warning: slow disk [{][}] %s\n"
                                        "....-..-.. ..:..:.. error: broken disk\n"));
}

TEST_F(Log, OtherRanksOnlyWarnAndSayWhoTheyAre) {
  EXPECT_THAT(talk_of({.rank = 2, .ranks = 4}), MatchesRegex(".* rank 2 of 4: warning: slow disk [^\n]*\n"
                                                             ".* rank 2 of 4: error: broken disk\n"));
}

TEST_F(Log, ObeysItsLevel) {
  EXPECT_THAT(talk_of({.level = LogLevel::kDebug}), HasSubstr("debug: fine print"));
  EXPECT_THAT(talk_of({.level = LogLevel::kError}), Not(HasSubstr("warning")));
}

TEST_F(Log, RankZeroAppendsToTheFile) {
  const tests::TemporaryDirectory directory;
  PosixFileSystem files;
  talk_of({.file = directory / "log.txt"});
  const std::string once = read_text(files, directory / "log.txt");
  EXPECT_THAT(once, HasSubstr("step 7\n"));
  talk_of({.file = directory / "log.txt"});
  EXPECT_EQ(files.size(directory / "log.txt"), 2 * once.size());
  talk_of({.rank = 1, .ranks = 2, .file = directory / "other.txt"});
  EXPECT_FALSE(files.exists(directory / "other.txt"));
}

TEST_F(Log, AFileThatCannotBeWrittenIsAnEnvironmentError) {
  try {
    configure_log({.file = "/proc/none/log.txt"});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("/proc/none/log.txt"));
  }
}

}  // namespace
}  // namespace pathline::core
