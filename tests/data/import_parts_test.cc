// SPDX-License-Identifier: Apache-2.0
// Where an import's files go: parts of bounded size, imports that go on, and files that are in the way.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>

#include "core/machine.h"
#include "data/image_store_writer.h"
#include "data/import_sources.h"
#include "data/temporary_name.h"
#include "tests/data/import_fixture.h"

namespace pathline::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr std::int64_t kCount = 700, kSide = 8;

/// Picture i is grey, of i mod 251, in class i mod 3; some cannot be read, and asking for one may end the process.
class Numbered final : public PictureSource {
 public:
  std::int64_t count() const override { return kCount; }
  Image picture(std::int64_t index) const override {
    ++decoded;
    if (index == deadly) ::_exit(9);
    PL_CHECK(!bad.contains(index), core::ExitCode::kInput, "picture ", index, " is bad");
    return Image(kSide, kSide, 1, static_cast<std::uint8_t>(index % 251));
  }
  std::int64_t label(std::int64_t index) const override { return index % 3; }
  std::int64_t classes() const override { return 3; }
  const std::vector<std::string>& class_names() const override { return names_; }
  const std::string& description() const override { return description_; }
  std::uint64_t stamp(std::int64_t index) const override { return index == changed ? 2 : 1; }

  std::set<std::int64_t> bad;
  std::int64_t changed = -1, deadly = -1;
  mutable std::atomic<std::int64_t> decoded = 0;

 private:
  std::vector<std::string> names_ = {"a", "b", "c"};
  std::string description_ = "numbers";
};

class Parts : public Import {
 protected:
  Parts() {
    overwrite_ = false;
    part_bytes_ = 32 << 10;
  }
  /// Names in the directory.
  std::vector<std::string> there() { return files_.list(directory_.path()); }
  core::Error failure(const Numbered& source, const ImportOptions& options = {}) {
    try {
      import(source, options);
    } catch (const core::Error& error) {
      return error;
    }
    ADD_FAILURE() << "the import went through";
    return {core::ExitCode::kInternal, ""};
  }
  /// Imports in a process that dies when it comes to `picture`.
  void import_and_die_at(std::int64_t picture) {
    const pid_t child = ::fork();
    if (child == 0) {
      Numbered source;
      source.deadly = picture;
      ImportOptions options;  // one thread: the fork has no others
      const auto plan = plan_import(source, options, {store_, part_bytes_, false});
      import_pictures(source, options, plan, [](std::int64_t) {});
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), 9);
  }

  Numbered source_;
};

TEST_F(Parts, AreOfBoundedSizeAndTogetherTheSet) {
  const Imported done = import(source_);
  EXPECT_THAT(there(), ElementsAre("out-00000-of-00004.h5", "out-00001-of-00004.h5", "out-00002-of-00004.h5",
                                   "out-00003-of-00004.h5", "out.json"));
  for (const std::string& name : there()) EXPECT_LE(files_.size(directory_ / name), part_bytes_) << name;
  ASSERT_EQ(result_->info().count, kCount);
  for (std::int64_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(item(i)[0], i % 251);
    ASSERT_EQ(result_->label(i), i % 3);
  }
  EXPECT_EQ(open_source({directory_ / "out-*.h5"})->info().digest, done.digest);
  part_bytes_ = 0;
  EXPECT_EQ(import(source_).digest, done.digest) << "in one file";
}

TEST_F(Parts, HaveTheirNamesWhateverIsLeftOut) {
  source_.bad = {0, 3, 699};
  ImportOptions options;
  options.skip_bad = true;
  const Imported done = import(source_, options);
  EXPECT_EQ(done.count, kCount - 3);
  EXPECT_EQ(done.left_out, 3);
  EXPECT_TRUE(files_.exists(directory_ / "out-00003-of-00004.h5"));
  EXPECT_EQ(item(0)[0], 1);
  EXPECT_EQ(item(2)[0], 4);
  EXPECT_EQ(import(source_, options).left_out, 3) << "also when all is there already";
}

TEST_F(Parts, OfBadPicturesAloneCannotBeWritten) {
  for (std::int64_t i = 175; i < 350; ++i) source_.bad.insert(i);
  ImportOptions options;
  options.skip_bad = true;
  EXPECT_THAT(failure(source_, options).what(), AllOf(HasSubstr("out-00001-of-00004.h5"), HasSubstr("--part-size")));
}

TEST_F(Parts, TooSmallForOnePictureAreRefused) {
  part_bytes_ = 1000;
  const auto error = failure(source_);
  EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("--part-size"));
}

TEST_F(Parts, GoOnWhereAKilledImportEnded) {
  import_and_die_at(400);  // in the third part
  EXPECT_THAT(there(), testing::Contains(HasSubstr("out-00002-of-00004.h5.tmp-")));
  const Imported done = import(source_);
  EXPECT_THAT(there(), ElementsAre("out-00000-of-00004.h5", "out-00001-of-00004.h5", "out-00002-of-00004.h5",
                                   "out-00003-of-00004.h5", "out.json"));
  EXPECT_EQ(source_.decoded, 350 + 1) << "the last two parts, and the picture that decides the shape";
  store_ = directory_ / "whole.h5";
  part_bytes_ = 0;
  EXPECT_EQ(import(Numbered()).digest, done.digest);
}

TEST_F(Parts, ThatAreDamagedAreMadeAgain) {
  const std::string digest = import(source_).digest;
  std::fstream file(directory_ / "out-00001-of-00004.h5", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(6000);  // among the pixels
  file.put('\x7f');
  file.put('\x01');
  file.close();
  source_.decoded = 0;
  EXPECT_EQ(import(source_).digest, digest);
  EXPECT_EQ(source_.decoded, 175 + 1);
}

TEST_F(Parts, OfChangedPicturesAreNotTakenForTheSame) {
  import(source_);
  source_.changed = 200;
  const auto error = failure(source_);
  EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("out-00001-of-00004.h5"), HasSubstr("--overwrite")));
  ImportOptions otherwise;
  otherwise.size = kSide;
  EXPECT_THAT(failure(Numbered(), otherwise).what(), HasSubstr("out-00000-of-00004.h5"));
  overwrite_ = true;
  import(source_);
}

TEST_F(Parts, OfAnotherDivisionAreNotMixedIn) {
  import(source_);
  part_bytes_ = 40 << 10;
  EXPECT_THAT(failure(source_).what(), HasSubstr("another division"));
  overwrite_ = true;
  import(source_);
  EXPECT_THAT(there(),
              ElementsAre("out-00000-of-00003.h5", "out-00001-of-00003.h5", "out-00002-of-00003.h5", "out.json"));
}

TEST_F(Parts, WithoutBadOnesBeforeThemStay) {
  source_.bad = {500};  // in the third
  testing::internal::CaptureStderr();
  EXPECT_EQ(failure(source_).code(), core::ExitCode::kInput);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("picture 500 is bad"));
  EXPECT_THAT(there(), ElementsAre("out-00000-of-00004.h5", "out-00001-of-00004.h5"));
  source_.bad.clear();
  EXPECT_EQ(import(source_).count, kCount);
}

class OneFile : public Parts {
 protected:
  OneFile() { part_bytes_ = 0; }
};

TEST_F(OneFile, IsKeptByASecondStart) {
  const std::string digest = import(source_).digest;
  source_.decoded = 0;
  EXPECT_EQ(import(source_).digest, digest);
  EXPECT_EQ(source_.decoded, 1);
}

TEST_F(OneFile, OfSomebodyElseIsNotReplacedUnlessAskedFor) {
  for (const std::string& content : {std::string("notes"), std::string()}) {
    write(store_, std::as_bytes(std::span(content)));
    const auto error = failure(source_);
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("out.h5"), HasSubstr("--overwrite")));
    EXPECT_EQ(core::read_text(files_, store_), content);
  }
  overwrite_ = true;
  EXPECT_EQ(import(source_).count, kCount);
}

TEST_F(OneFile, WithPicturesLeftOutIsNotTakenForAllOfThem) {
  source_.bad = {5};
  ImportOptions options;
  options.skip_bad = true;
  import(source_, options);
  source_.bad.clear();
  EXPECT_THAT(failure(source_).what(), HasSubstr("--skip-bad"));
}

TEST_F(OneFile, StartsAgainCleanlyAfterAKill) {
  import_and_die_at(600);  // when 512 pictures are written
  EXPECT_THAT(there(), ElementsAre(HasSubstr("out.h5.tmp-")));
  import(source_);
  EXPECT_THAT(there(), ElementsAre("out.h5"));
}

TEST_F(OneFile, FinishedByAnotherInTheMeantimeStays) {
  const auto plan = plan_import(source_, {}, {store_, 0, false});
  Numbered other;
  ImportOptions smaller;
  smaller.size = 4;
  const std::string digest = import(other, smaller).digest;
  try {
    import_pictures(source_, {}, plan, [](std::int64_t) {});
    ADD_FAILURE() << "the other's result was replaced";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("out.h5"), HasSubstr("another process")));
  }
  EXPECT_THAT(there(), ElementsAre("out.h5"));
  EXPECT_EQ(open_source({store_})->info().digest, digest);
}

TEST_F(OneFile, LitterOfTheLivingAndOfOtherHostsIsLeftAlone) {
  const std::string living = temporary_name(store_);
  const std::string elsewhere = store_ + ".tmp-not" + core::host_name() + "-1-0";
  for (const std::string& path : {living, elsewhere, store_ + ".tmp-notes", directory_ / "other.tmp-x-1-0"}) {
    write(path, Bytes{1});
  }
  import(source_);
  EXPECT_THAT(there(), UnorderedElementsAre("out.h5", core::name_of(living), core::name_of(elsewhere),
                                            "out.h5.tmp-notes", "other.tmp-x-1-0"));
}

}  // namespace
}  // namespace pathline::data
