#include "lib/io/endpoint.hpp"

#include <gtest/gtest.h>

namespace longhaul::io {
namespace {

TEST(Endpoint, ReadsNamesAndAddresses) {
  EXPECT_EQ(*parse_endpoint("gpu.example.org:7700"), (Endpoint{"gpu.example.org", 7700}));
  EXPECT_EQ(*parse_endpoint("[2001:db8::1]:7700"), (Endpoint{"2001:db8::1", 7700}));
  EXPECT_EQ(to_text(*parse_endpoint("[::1]:1")), "[::1]:1");
}

TEST(Endpoint, RefusesWhatIsNone) {
  for (const char* text : {"", "host", "host:", ":1", "host:65536", "host:1x", "2001:db8::1:7700",
                           "[::1]", "[::1:1", "ho st:1", "host\n:1", "host:-1"}) {
    EXPECT_EQ(parse_endpoint(text).error().kind(), Kind::kUsage) << text;
  }
}

TEST(Endpoint, SaysWhatIsWrong) {
  const auto why = [](const char* text) { return parse_endpoint(text).error().why(); };
  EXPECT_EQ(why("host"), "write it as HOST:PORT");
  EXPECT_EQ(why("2001:db8::1:7700"), "write an IPv6 address as [ADDRESS]:PORT");
  EXPECT_EQ(why("[::1]"), "write an IPv6 address as [ADDRESS]:PORT");
  EXPECT_EQ(why(":1"), "the host is empty or too long");
  EXPECT_EQ(why("ho st:1"), "the host has a character that no host has");
  EXPECT_EQ(why("host:65536"), "the port is a number from 0 to 65535");
}

}  // namespace
}  // namespace longhaul::io
