// Bytes that releases are held to: tests/golden/wire has each with its meaning as JSON.
#pragma once

#include <string>
#include <vector>

#include "lib/base/bytes.hpp"

namespace longhaul::wire {

struct GoldenBytes {
  // MESSAGE-what; frame-MESSAGE-what with its header; transfer-MESSAGE-what with its place in
  // TransferMessage, feed-MESSAGE-what with its place in FeedMessage, probe-MESSAGE-what likewise.
  // Also the file's name.
  std::string name;
  ByteVector bytes;
  std::string json;
};

std::vector<GoldenBytes> all_golden();       // golden_samples.cpp
std::vector<GoldenBytes> transfer_golden();  // golden_transfer.cpp
std::vector<GoldenBytes> feed_golden();      // golden_feed.cpp
std::vector<GoldenBytes> probe_golden();     // golden_probe.cpp

}  // namespace longhaul::wire
