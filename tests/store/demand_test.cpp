// What readers want of a dataset on its way: the file's form, damage, several readers.
#include "lib/store/demand.hpp"

#include <gtest/gtest.h>

#include "tests/sim/crash_files.hpp"

namespace longhaul::store {
namespace {

ChunkId chunk(int i) {
  return crypto::sha256("chunk " + std::to_string(i));
}

Demand some_demand(int first, int count, std::uint32_t urgent) {
  Demand demand;
  for (int i = first; i < first + count; ++i) demand.chunks.push_back(chunk(i));
  demand.urgent = urgent;
  return demand;
}

TEST(Demand, ComesBackAsItWas) {
  for (const Demand& demand : {Demand(), some_demand(0, 3, 2), some_demand(0, 16384, 16384)})
    EXPECT_EQ(parse_demand(to_bytes(demand)).value(), demand);
}

TEST(Demand, DamageOfAnyByteOrLengthIsRefused) {
  const ByteVector whole = to_bytes(some_demand(0, 3, 2));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    ByteVector bytes = whole;
    bytes[i] ^= std::byte{0x10};
    EXPECT_FALSE(parse_demand(bytes)) << i;
    EXPECT_FALSE(parse_demand(Bytes(whole).first(i))) << i;
  }
  EXPECT_EQ(parse_demand(ByteVector(1'000'000)).error().kind(), Kind::kLimit);
}

TEST(Demand, OfSeveralReadersTakesTurnsUrgentOnesFirst) {
  sim::CrashFiles files;
  const DatasetName words = DatasetName::parse("words").value();
  EXPECT_FALSE(read_demand(files, words).has_value());
  const TreeName folder = demand_folder(words);
  ASSERT_TRUE(make_folders(files, folder));
  EXPECT_FALSE(read_demand(files, words).has_value());
  const auto put = [&](const char* reader, Bytes bytes) {
    ASSERT_TRUE(write_whole(files, folder.child(reader).value(), bytes));
  };
  put("a", to_bytes(some_demand(0, 4, 2)));
  put("b", to_bytes(some_demand(1, 4, 1)));
  put("c.new", to_bytes(some_demand(7, 1, 1)));  // not renamed yet
  put("d", bytes_of("what a crash left"));
  const auto all = read_demand(files, words);
  ASSERT_TRUE(all.has_value());
  Demand expected;
  for (const int i : {0, 1, 2, 3, 4}) expected.chunks.push_back(chunk(i));
  expected.urgent = 2;
  EXPECT_EQ(*all, expected);
  forget_demand(files, words);
  EXPECT_FALSE(read_demand(files, words).has_value());
}

}  // namespace
}  // namespace longhaul::store
