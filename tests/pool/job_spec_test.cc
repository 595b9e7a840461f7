// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/job_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace pathline::pool {
namespace {

std::string refusal_of(const std::string& json) {
  try {
    parse_job_spec(json);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage) << json;
    return error.what();
  }
  return "";
}

const std::string kRest = R"("checkpoint": "/runs/a", "output": "/out/a.h5", "count": 100)";

TEST(JobSpec, ComesBackFromItsJson) {
  JobSpec spec;
  spec.checkpoint = "/runs/a \"quoted\"";
  spec.output = "/out/ü.npz";
  spec.count = 50000;
  spec.first = 7;
  spec.seed = ~std::uint64_t{0};
  spec.options = {{"solver", "rk4"}, {"rtol", "0.1"}, {"pairs", ""}};
  spec.slots = 32;
  spec.priority = -3;
  EXPECT_EQ(parse_job_spec(to_json(spec)), spec);
  spec.slots = kMeasuredSlots;
  EXPECT_THAT(to_json(spec), testing::HasSubstr(R"("slots":"auto")"));
  EXPECT_EQ(parse_job_spec(to_json(spec)), spec);
}

TEST(JobSpec, SlotsAreResolvedByCount) {
  EXPECT_EQ(parse_job_spec("{" + kRest + "}").slots, 64);
  EXPECT_EQ(parse_job_spec(R"({"checkpoint": "/a", "output": "/b.h5", "count": 17})").slots, 32);
}

TEST(JobSpec, NumbersReachTheCommandLineAsTheyWereWritten) {
  const JobSpec spec =
      parse_job_spec("{" + kRest + R"(, "rtol": 1e-05, "guidance_interval": "0.1:0.9", "steps": 18, "pairs": true,)" +
                     R"("classifier": "/c.ts", "classifier_scale": 2})");
  EXPECT_THAT(sample_arguments(spec),
              testing::IsSupersetOf({"--rtol=1e-05", "--guidance-interval=0.1:0.9", "--steps=18", "--pairs",
                                     "--count=100", "--slots=64", "--threads=1", "--output=/out/a.h5",
                                     "--classifier=/c.ts", "--classifier-scale=2"}));
}

TEST(JobSpec, WhatIsWrittenLiesAtAnAbsolutePath) {
  EXPECT_EQ(refusal_of("{" + kRest + R"(, "moments": "/out/m.npz"})"), "");
  EXPECT_THAT(refusal_of("{" + kRest + R"(, "moments": "m.npz"})"), testing::HasSubstr("absolute"));
}

TEST(JobSpec, NamesTheNearestKnownNameOfAnUnknownOne) {
  EXPECT_THAT(refusal_of("{" + kRest + R"(, "guidence": 2})"), testing::HasSubstr("\"guidance\""));
}

TEST(JobSpec, RefusesWhatIsNoJob) {
  for (const char* text : {"", "[]", "null", "{", "{}", "\"a\"", "{\"count\": 1}"})
    EXPECT_NE(refusal_of(text), "") << text;
  for (const char* member : {R"("count": 0)",         R"("count": 1.5)",
                             R"("count": "9")",       R"("count": true)",
                             R"("count": 1e300)",     R"("count": 99999999999999999999)",
                             R"("seed": -1)",         R"("first": -1)",
                             R"("rtol": 1e999)",      R"("pairs": false)",
                             R"("solver": "")",       R"("slots": 5)",
                             R"("slots": -16)",       R"("threads": 0)",
                             R"("priority": 100000)", R"("output": "relative.h5")",
                             R"("output": "/")",      R"("checkpoint": "")",
                             R"("output": "/a.b/")",  R"("output": "")",
                             R"("solver": [3])",      R"("labels": null)",
                             R"("ema": "\u0000")",    R"("device": "tpu")"}) {
    EXPECT_NE(refusal_of("{" + kRest + ", " + member + "}"), "") << member;
  }
}

TEST(JobSpec, OnePathIsOneText) {
  const auto output = [](const std::string& path) {
    return parse_job_spec(R"({"checkpoint": "/r/step-1", "count": 9, "output": ")" + path + R"("})").output;
  };
  EXPECT_EQ(output("/out//a.h5"), "/out/a.h5");
  EXPECT_EQ(output("/out/./more/../a.h5"), "/out/a.h5");
  EXPECT_EQ(output("/out/pictures//"), "/out/pictures");
}

TEST(JobSpec, JobsOfTheSameNetworksAreToldFromOthers) {
  const auto parsed = [](const std::string& more) {
    return parse_job_spec(R"({"checkpoint": "/r/step-1", "output": "/o.npz", "count": 9)" + more + "}");
  };
  const JobSpec job = parsed("");
  for (const char* same : {R"(, "seed": 4)", R"(, "solver": "heun", "steps": 3)", R"(, "guidance": 2)",
                           R"(, "labels": "1")", R"(, "count": 5)", R"(, "decoder": "/d.ts")"}) {
    EXPECT_TRUE(same_networks(job, parsed(same))) << same;
  }
  for (const char* other : {R"(, "checkpoint": "/r/step-2")", R"(, "slots": 32)", R"(, "threads": 2)",
                            R"(, "ema": "raw")", R"(, "precision": "bf16")", R"(, "guide-with": "/w")",
                            R"(, "classifier": "/c.ts")", R"(, "noise-schedule": "cosine")"}) {
    EXPECT_FALSE(same_networks(job, parsed(other))) << other;
    EXPECT_FALSE(same_networks(parsed(other), job)) << other;
  }
}

}  // namespace
}  // namespace pathline::pool
