// What the trainer does while a dataset is on its way.
#include "trainer/client/feed_source.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/trainer/temporary_folder.hpp"

namespace longhaul::trainer {
namespace {

FeedOpening opening_of(const TemporaryFolder& folder) {
  FeedOpening opening;
  opening.store = folder.path();
  opening.dataset = "words";
  opening.say = [](const std::string&) {};
  return opening;
}

TEST(FeedSource, DoesWhatElseIsToBeDoneBeforeItWaits) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / ".longhaul");
  FeedOpening opening = opening_of(folder);
  int done = 0, looks = 0;
  opening.meanwhile = [&]() -> Result<> {
    ++done;
    return {};
  };
  opening.stop_asked = [&] {
    EXPECT_EQ(done, 1);
    return ++looks == 3;
  };
  const auto source = FeedSource::open(opening);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().kind(), Kind::kInterrupted);
  EXPECT_EQ(done, 1);
}

TEST(FeedSource, WhatFailsMeanwhileEndsIt) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / ".longhaul");
  FeedOpening opening = opening_of(folder);
  opening.meanwhile = [] { return Result<>(fail(Kind::kNotFound, "read the first weights")); };
  opening.stop_asked = [] { return false; };
  const auto source = FeedSource::open(opening);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().kind(), Kind::kNotFound);
}

}  // namespace
}  // namespace longhaul::trainer
