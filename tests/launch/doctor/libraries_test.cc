// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/doctor/judge_libraries.h"

namespace pathline::doctor {
namespace {

using testing::HasSubstr;

TEST(DoctorLibraries, AreReadFromTheMap) {
  const auto libraries = mapped_libraries(
      "7f00-7f01 r-xp 00000000 fe:00 12 /usr/lib/libmpi.so.40.30.4\n"
      "7f01-7f02 r--p 00000000 fe:00 12 /usr/lib/libmpi.so.40.30.4\n"
      "7f03-7f04 rw-p 00000000 00:00 0 [heap]\n"
      "7f05-7f06 r--p 00000000 fe:00 13 /tmp/data.bin\n");
  EXPECT_THAT(libraries, testing::ElementsAre("/usr/lib/libmpi.so.40.30.4"));
}

TEST(DoctorLibraries, TwoCopiesOfOneAreBroken) {
  const std::vector<std::string> nccl = {"/a/libnccl.so.2", "/venv/nvidia/libnccl.so.2", "/b/libmpi.so.40"};
  const Line line = judge_loaded(nccl, "");
  EXPECT_EQ(line.verdict, Verdict::kBroken);
  EXPECT_THAT(line.found, HasSubstr("/a/libnccl.so.2 and /venv/nvidia/libnccl.so.2"));
  const std::vector<std::string> one = {"/b/libmpi.so.40", "/b/libmpi_cxx.so.40", "/b/libtorch_cpu.so"};
  EXPECT_EQ(judge_loaded(one, "").verdict, Verdict::kGood);
}

TEST(DoctorLibraries, EatmydataIsNamed) {
  const std::vector<std::string> libraries = {"/usr/lib/libeatmydata.so.1.3.0"};
  const Line line = judge_loaded(libraries, "libeatmydata.so");
  EXPECT_EQ(line.verdict, Verdict::kBroken);
  EXPECT_THAT(line.found, HasSubstr("LD_PRELOAD=libeatmydata.so"));
}

TEST(DoctorLibraries, VersionsAgreeInAsManyNumbersAsTheyMust) {
  EXPECT_EQ(judge_version({"MPI", "4.1.4", "4.1.6", 1, ""}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_version({"MPI", "4.1.4", "5.0.1", 1, ""}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_version({"MPI", "4.1.4", "MPICH Version: 4.1.2", 1, ""}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_version({"HDF5", "1.10.8", "1.10.8", 3, ""}).verdict, Verdict::kGood);
  const Line line = judge_version({"HDF5", "1.10.8", "1.14.0", 3, "/opt/libhdf5.so"});
  EXPECT_EQ(line.verdict, Verdict::kBroken);
  EXPECT_THAT(line.found, HasSubstr("1.14.0 from /opt/libhdf5.so, but this program was built for 1.10.8"));
}

TEST(DoctorLibraries, AProgramThatDoesNotStartSaysWhichLibraryIsMissing) {
  const Line missing = judge_start(
      "x: error while loading shared libraries: libmpi.so.40: cannot open shared object file\n", "with exit code 127");
  EXPECT_EQ(missing.verdict, Verdict::kBroken);
  EXPECT_THAT(missing.found, HasSubstr("libmpi.so.40"));
  const Line crashed = judge_start("Illegal instruction soon\n\n----\n", "by signal 4 (Illegal instruction)");
  EXPECT_THAT(crashed.found, HasSubstr("by signal 4 (Illegal instruction); its last words: Illegal instruction soon"));
}

}  // namespace
}  // namespace pathline::doctor
