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

}  // namespace
}  // namespace longhaul::io
