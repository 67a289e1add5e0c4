#include "compression/dictionary.hpp"

#include <gtest/gtest.h>

#include "tests/compression/samples.hpp"

namespace longhaul::compression {
namespace {

std::vector<ByteVector> small_files(std::size_t count, std::size_t size) {
  std::vector<ByteVector> files;
  for (std::size_t i = 0; i < count; ++i) files.push_back(lines(size, i));
  return files;
}
std::vector<Bytes> spans_of(const std::vector<ByteVector>& files) {
  return {files.begin(), files.end()};
}

TEST(Dictionary, IsTrainedWithinItsBoundAndTheSameAgain) {
  const auto files = small_files(300, 800);
  const auto samples = spans_of(files);
  const ByteVector trained = train_dictionary(samples, 8192).value();
  EXPECT_LE(trained.size(), 8192U);
  EXPECT_GT(trained.size(), 256U);
  EXPECT_EQ(train_dictionary(samples, 8192).value(), trained);
}

TEST(Dictionary, IsNotTrainedOnTooLittle) {
  EXPECT_EQ(train_dictionary({}).error().kind(), Kind::kUsage);
  const auto few = small_files(3, 60'000);
  EXPECT_EQ(train_dictionary(spans_of(few)).error().kind(), Kind::kUsage);
  const std::vector<ByteVector> empty(100);
  EXPECT_EQ(train_dictionary(spans_of(empty)).error().kind(), Kind::kUsage);
}

TEST(Dictionary, RefusesWhatIsNone) {
  EXPECT_EQ(Dictionary::make({}, {}).error().kind(), Kind::kMalformed);
  EXPECT_EQ(Dictionary::make(random_bytes(5000, 1), {}).error().kind(), Kind::kMalformed);
  EXPECT_EQ(Dictionary::make(ByteVector(kMaxDictionaryBytes + 1), {}).error().kind(), Kind::kLimit);
}

TEST(Dictionary, SurvivesEveryTruncationOfItsTables) {
  const auto files = small_files(300, 800);
  const ByteVector trained = train_dictionary(spans_of(files), 4096).value();
  std::size_t refused = 0;
  for (std::size_t size = 0; size < 300; ++size)
    if (!Dictionary::make(Bytes(trained).first(size), {})) ++refused;
  EXPECT_GT(refused, 20U);
  EXPECT_TRUE(Dictionary::make(trained, {}).has_value());
}

TEST(Dictionary, IsNamedByTheDigestItWasGiven) {
  const auto files = small_files(300, 800);
  DictionaryDigest digest{};
  digest[0] = std::byte{0xab};
  const Dictionary made =
      Dictionary::make(train_dictionary(spans_of(files), 4096).value(), digest).value();
  EXPECT_EQ(made.tag().size(), kDictionaryTagBytes);
  EXPECT_EQ(made.tag()[0], std::byte{0xab});
  EXPECT_EQ(made.digest(), digest);
}

}  // namespace
}  // namespace longhaul::compression
