// SPDX-License-Identifier: Apache-2.0
// What is committed stays, whatever call is the last; what is damaged or foreign is refused.
#include "sampler/part_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "sampler/part_file.h"
#include "sampler/set_report.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"

namespace pathline::sampler {
namespace {

using testing::ElementsAre;

JobRecord job(const std::string& seed) {
  JobRecord record;
  record.add("seed", seed);
  record.add("solver", "dopri5");
  return record;
}

std::vector<Record> samples(IdRange range) {
  std::vector<Record> records;
  for (std::int64_t id = range.first; id < range.last; ++id) {
    Record record{id, id % 10, 100 + id, id % 3, id % 4 ? SampleStatus::kDone : SampleStatus::kFailed, {}};
    record.item.assign(static_cast<std::size_t>(5 + id % 2), static_cast<std::byte>(id));
    records.push_back(record);
  }
  return records;
}

void expect_samples(const PartStore& store, const JobRecord& record, IdRange all) {
  std::int64_t next = all.first;
  store.read_all(record.identity(), all, [&](Record&& read) {
    const Record expected = samples({next, next + 1}).front();
    EXPECT_EQ(read.id, next);
    EXPECT_EQ(read.label, expected.label);
    EXPECT_EQ(read.nfe, expected.nfe);
    EXPECT_EQ(read.rejected, expected.rejected);
    EXPECT_EQ(read.status, expected.status);
    EXPECT_EQ(read.item, expected.item);
    ++next;
  });
  EXPECT_EQ(next, all.last);
}

TEST(MissingRanges, AreTheHolesBetweenWhatIsMade) {
  EXPECT_THAT(missing_ranges({3, 10}, {}), ElementsAre(IdRange{3, 10}));
  EXPECT_THAT(missing_ranges({0, 10}, {{6, 8}, {0, 2}, {1, 4}}), ElementsAre(IdRange{4, 6}, IdRange{8, 10}));
  EXPECT_THAT(missing_ranges({0, 10}, {{0, 5}, {5, 12}}), ElementsAre());
  EXPECT_THAT(missing_ranges({5, 7}, {{0, 3}, {9, 12}}), ElementsAre(IdRange{5, 7}));
}

TEST(JobRecord, NamesEveryFieldThatDiffers) {
  const JobRecord there = JobRecord::parse(job("5").text(), "job.json");
  EXPECT_THAT(there.differences(job("5")), ElementsAre());
  EXPECT_EQ(there.identity(), job("5").identity());
  JobRecord asked = job("7");
  asked.add("guidance", "2");
  EXPECT_THAT(there.differences(asked),
              ElementsAre("seed (5 there, 7 asked for)", "guidance (nothing there, 2 asked for)"));
  EXPECT_THAT(asked.differences(there),
              ElementsAre("seed (7 there, 5 asked for)", "guidance (2 there, nothing asked for)"));
  EXPECT_NE(there.identity(), asked.identity());
}

TEST(JobRecord, RefusesWhatIsNone) {
  for (const std::string text :
       {"", "{", "[]", "{\"format\": \"pathline-job\"}", "{\"format\": \"pathline-job\", \"version\": \"2\"}",
        "{\"format\": \"pathline-job\", \"version\": \"1\", \"seed\": 5}"}) {
    try {
      JobRecord::parse(text, "there/job.json");
      ADD_FAILURE() << text;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_NE(std::string(error.what()).find("there/job.json"), std::string::npos);
    }
  }
}

TEST(PartFile, NoticesEveryTurnedBit) {
  const IdRange range{3, 6};
  const std::vector<std::byte> bytes = encode_part(77, range, samples(range));
  EXPECT_EQ(decode_part(bytes, 77, range, "part").size(), 3u);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::vector<std::byte> damaged = bytes;
    damaged[at] ^= std::byte{1};
    EXPECT_THROW(decode_part(damaged, 77, range, "part"), core::Error) << at;
    EXPECT_THROW(decode_part(std::span(bytes).first(at), 77, range, "part"), core::Error) << at;
  }
  EXPECT_THROW(decode_part(bytes, 78, range, "part"), core::Error);
  EXPECT_THROW(decode_part(bytes, 77, {3, 7}, "part"), core::Error);
}

TEST(SetReport, TellsWhatMadeASetAsLongAsItIsThatSet) {
  tests::MemoryFileSystem files;
  core::replace_file(files, "set.h5", "samples");
  EXPECT_FALSE(read_report(files, "set.h5"));
  save_report(files, "set.h5", {job("5"), 9, 1, 900, 130, 7});
  const auto report = read_report(files, "set.h5");
  ASSERT_TRUE(report);
  EXPECT_THAT(report->job.differences(job("5")), ElementsAre());
  EXPECT_THAT(report->job.differences(job("6")), ElementsAre("seed (5 there, 6 asked for)"));
  EXPECT_EQ(report->count, 9);
  EXPECT_EQ(report->failed, 1);
  EXPECT_EQ(report->nfe, 900);
  EXPECT_EQ(report->max_nfe, 130);
  EXPECT_EQ(report->rejected_steps, 7);
  core::replace_file(files, "set.h5", "sampled");
  EXPECT_FALSE(read_report(files, "set.h5")) << "another set took its place";
  core::replace_file(files, "set.h5", "samples");
  EXPECT_TRUE(read_report(files, "set.h5"));
  files.remove("set.h5");
  EXPECT_FALSE(read_report(files, "set.h5"));
}

TEST(SetReport, IsOfAFolderWithTheSameDescription) {
  tests::MemoryFileSystem files;
  files.make_directory("set");
  core::replace_file(files, "set/generated_by.txt", "seed 5");
  save_report(files, "set/", {job("5"), 9, 0, 0, 0, 0});
  EXPECT_TRUE(files.exists("set.job.json"));
  EXPECT_TRUE(read_report(files, "set"));
  core::replace_file(files, "set/generated_by.txt", "seed 6");
  EXPECT_FALSE(read_report(files, "set/"));
}

TEST(SetReport, IsNotFoundInAFileOfAnotherProgram) {
  tests::MemoryFileSystem files;
  core::replace_file(files, "set.h5", "samples");
  for (const std::string text : {"", "{", "[]", "{}", "{\"format\": \"pathline-set\", \"version\": 2}",
                                 "{\"format\": \"pathline-set\", \"version\": 1, \"job\": {\"seed\": 5}}"}) {
    core::replace_file(files, "set.h5.job.json", text);
    EXPECT_FALSE(read_report(files, "set.h5")) << text;
  }
}

TEST(PartStore, HandsOutEverySampleOnceInOrder) {
  tests::MemoryFileSystem files;
  PartStore store(files, "set.h5");
  store.open(job("5"));
  const std::uint64_t id = job("5").identity();
  for (const IdRange range : {IdRange{6, 9}, {0, 4}, {2, 7}, {3, 5}}) store.commit(id, range, samples(range));
  expect_samples(store, job("5"), {0, 9});
  try {
    expect_samples(store, job("5"), {0, 10});
    ADD_FAILURE() << "a gap";
  } catch (const core::Error& error) {
    EXPECT_NE(std::string(error.what()).find("sample 9 "), std::string::npos) << error.what();
  }
}

TEST(PartStore, RefusesPartsOfAnotherJob) {
  tests::MemoryFileSystem files;
  PartStore store(files, "set.h5");
  store.open(job("5"));
  store.commit(job("5").identity(), {0, 4}, samples({0, 4}));
  try {
    PartStore(files, "set.h5").open(job("7"));
    ADD_FAILURE() << "accepted";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("seed (5 there, 7 asked for)"), std::string::npos) << error.what();
  }
  EXPECT_THAT(store.committed(), ElementsAre(IdRange{0, 4}));
}

TEST(PartStore, RemovesOnlyWhatInterruptedStartsLeft) {
  tests::MemoryFileSystem files;
  PartStore store(files, "sets/a/");
  store.open(job("5"));
  for (const std::string name : {"sets/a.parts/part-000000000000-000000000004.tmp", "sets/a.17.tmp", "sets/a.tmp-17-0",
                                 "sets/a.h5", "sets/a.tar.17.tmp", "sets/b.17.tmp"}) {
    core::replace_file(files, name, "left");
  }
  store.open(job("5"));
  EXPECT_THAT(files.list("sets"), ElementsAre("a.h5", "a.parts", "a.tar.17.tmp", "b.17.tmp"));
  EXPECT_THAT(files.list("sets/a.parts"), ElementsAre("job.json"));
}

/// What a start does, with the set as one small file: returns true once the job is complete.
void start(core::FileSystem& files, std::vector<IdRange>& promised) {
  const JobRecord record = job("5");
  const IdRange all{0, 6};
  PartStore store(files, "set");
  const auto report = store.begun() ? std::nullopt : read_report(files, "set");
  if (report && report->job.differences(record).empty()) return store.remove_done();
  store.open(record);
  for (const IdRange& missing : missing_ranges(all, store.committed())) {
    for (IdRange part = missing; part.first < missing.last; part.first = part.last) {
      part.last = std::min(part.first + 2, missing.last);
      store.commit(record.identity(), part, samples(part));
      promised.push_back(part);
    }
  }
  std::string set;
  store.read_all(record.identity(), all, [&](Record&& read) { set += std::to_string(read.nfe) + " "; });
  core::replace_file(files, "set", set);
  save_report(files, "set", {record, 6, 2, 615, 105, 6});
  store.remove();
}

TEST(PartStore, KeepsWhatIsCommittedWhereverAStartIsKilled) {
  const std::string expected = "100 101 102 103 104 105 ";
  int calls = 0;
  {
    tests::MemoryFileSystem files;
    tests::FaultyFileSystem counted(files);
    std::vector<IdRange> promised;
    start(counted, promised);
    calls = counted.calls();
    EXPECT_EQ(core::read_text(files, "set"), expected);
    EXPECT_THAT(files.list("."), ElementsAre("set", "set.job.json"));
  }
  ASSERT_GT(calls, 30);
  for (int at = 0; at < calls; ++at) {
    for (const auto kind : {tests::Fault::Kind::kStop, tests::Fault::Kind::kError, tests::Fault::Kind::kFull}) {
      tests::MemoryFileSystem files;
      tests::FaultyFileSystem faulty(files, {kind, at});
      std::vector<IdRange> promised;
      try {
        start(faulty, promised);
      } catch (const core::Error&) {  // the injected one
      }
      files.lose_some_unsynced(static_cast<std::uint64_t>(at));
      if (!files.exists("set")) {
        PartStore store(files, "set");
        for (const IdRange& range : promised) EXPECT_THAT(store.committed(), testing::Contains(range)) << at;
      }
      std::vector<IdRange> again;
      start(files, again);
      EXPECT_EQ(core::read_text(files, "set"), expected) << at;
      EXPECT_THAT(files.list("."), ElementsAre("set", "set.job.json")) << at;
    }
  }
}

}  // namespace
}  // namespace pathline::sampler
