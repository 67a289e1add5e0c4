// Every message with a table in docs/wire.md and golden bytes: add a new message here, then run
//   LONGHAUL_UPDATE=1 wire_test --gtest_filter='WireDoc.*:Golden.*'
// and read what changed: bytes that were released must not.
#pragma once

#include <string>
#include <vector>

#include "lib/wire/frame.hpp"
#include "lib/wire/hello.hpp"
#include "lib/wire/join.hpp"
#include "tests/wire/dump.hpp"

namespace longhaul::wire {

template <class Visit>
void each_documented(Visit&& visit) {
  visit.template operator()<Hello>();
  visit.template operator()<Accept>();
  visit.template operator()<Refuse>();
  visit.template operator()<Data>();
  visit.template operator()<Control>();
  visit.template operator()<Ack>();
  visit.template operator()<Ping>();
  visit.template operator()<Pong>();
  visit.template operator()<Goodbye>();
  visit.template operator()<Join>();
  visit.template operator()<Joined>();
}

struct GoldenBytes {
  std::string name;  // MESSAGE-what, or frame-MESSAGE-what: also the file's name
  ByteVector bytes;
  std::string json;
};

template <class T>
GoldenBytes golden_message(std::string_view what, const T& message) {
  return {fmt::format("{}-{}", type_name<T>(), what), encode(message), dump(message)};
}

template <class T>
GoldenBytes golden_frame(std::string_view what, FrameType type, const T& message) {
  ByteVector out(kFrameMax);
  out.resize(write_frame(out, type, message));
  return {fmt::format("frame-{}-{}", type_name<T>(), what), out, dump(message)};
}

std::vector<GoldenBytes> all_golden();  // golden_samples.cpp

}  // namespace longhaul::wire
