#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "tests/wire/catalogue.hpp"

namespace longhaul::wire {
namespace {

const std::string kDocument = LONGHAUL_SOURCE_DIR "/docs/wire.md";

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
bool updating() {
  return std::getenv("LONGHAUL_UPDATE") != nullptr;
}
void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Puts `table` below the heading, in place of the table that stands there.
void put_table(std::string& document, const std::string& heading, const std::string& table) {
  const std::size_t at = document.find(heading);
  ASSERT_NE(at, std::string::npos) << "docs/wire.md lacks the heading " << heading;
  const std::size_t from = at + heading.size();
  std::size_t to = from;
  while (to < document.size() && document[to] == '|') to = document.find('\n', to) + 1;
  document.replace(from, to - from, table);
}

void expect_documented(const std::string& heading, const std::string& table) {
  std::string document = read_text(kDocument);
  if (updating()) {
    put_table(document, heading, table);
    write_text(kDocument, document);
  }
  EXPECT_NE(document.find(heading + table), std::string::npos)
      << "docs/wire.md must hold, below its heading:\n"
      << heading << table;
}

TEST(WireDoc, HasTheTableOfEachMessage) {
  each_documented([]<class T>() {
    expect_documented(fmt::format("### {}\n\n", type_name<T>()), describe<T>());
  });
}

TEST(WireDoc, HasTheFrameTypes) {
  std::string table = "| type | body |\n|---|---|\n";
  for (const auto& known : wire_values(FrameType{}))
    table += fmt::format("| {} | {} |\n", static_cast<unsigned>(known.value), known.name);
  expect_documented("### Frame types\n\n", table);
}

template <class Message>
void expect_places(const std::string& heading) {
  std::string table = "| first byte | message |\n|---|---|\n";
  unsigned place = 0;
  // "one of 0=Offer 1=Fetch .."
  const std::string all = Codec<Message>::type();
  for (std::size_t at = all.find('='); at != std::string::npos; at = all.find('=', at + 1)) {
    const std::string name = all.substr(at + 1, all.find(' ', at) - at - 1);
    table += fmt::format("| {} | {} |\n", place++, name);
  }
  ASSERT_EQ(place, std::variant_size_v<Message>);
  expect_documented(heading, table);
}

TEST(WireDoc, HasThePlacesOfTransferMessages) {
  expect_places<TransferMessage>("### Transfer messages\n\n");
}
TEST(WireDoc, HasThePlacesOfFeedMessages) {
  expect_places<FeedMessage>("### Feed messages\n\n");
}
TEST(WireDoc, HasThePlacesOfProbeMessages) {
  expect_places<ProbeMessage>("### Probe messages\n\n");
}

std::size_t places_of(const std::vector<GoldenBytes>& all) {
  std::set<std::uint8_t> places;
  for (const GoldenBytes& golden : all)
    places.insert(std::to_integer<std::uint8_t>(golden.bytes[0]));
  return places.size();
}
TEST(Golden, EveryTransferMessageHasBytes) {
  EXPECT_EQ(places_of(transfer_golden()), std::variant_size_v<TransferMessage>);
}
TEST(Golden, EveryFeedMessageHasBytes) {
  EXPECT_EQ(places_of(feed_golden()), std::variant_size_v<FeedMessage>);
}

TEST(Golden, EveryProbeMessageHasBytes) {
  EXPECT_EQ(places_of(probe_golden()), std::variant_size_v<ProbeMessage>);
}

TEST(Golden, BytesAreWhatTheyWere) {
  for (const GoldenBytes& golden : all_golden()) {
    const std::string place = LONGHAUL_SOURCE_DIR "/tests/golden/wire/" + golden.name;
    const std::string hex = to_hex(golden.bytes) + '\n', json = golden.json + '\n';
    if (updating()) {
      write_text(place + ".hex", hex);
      write_text(place + ".json", json);
    }
    EXPECT_EQ(read_text(place + ".hex"), hex) << golden.name;
    EXPECT_EQ(read_text(place + ".json"), json) << golden.name;
  }
}

}  // namespace
}  // namespace longhaul::wire
