// Every message with a table in docs/wire.md and golden bytes: add a new message here, then run
//   LONGHAUL_UPDATE=1 wire_test --gtest_filter='WireDoc.*:Golden.*'
// and read what changed: bytes that were released must not.
#pragma once

#include "lib/wire/datagram.hpp"
#include "lib/wire/feed.hpp"
#include "lib/wire/frame.hpp"
#include "lib/wire/hello.hpp"
#include "lib/wire/join.hpp"
#include "lib/wire/probe.hpp"
#include "lib/wire/transfer.hpp"
#include "tests/wire/dump.hpp"
#include "tests/wire/golden.hpp"

namespace longhaul::wire {

template <class Visit>
void each_of_probes(Visit& visit) {
  visit.template operator()<ProbeOpen>();
  visit.template operator()<ProbeOpened>();
  visit.template operator()<ProbeTrain>();
  visit.template operator()<ProbeArrivals>();
  visit.template operator()<ProbeStop>();
  visit.template operator()<ProbeFill>();
  visit.template operator()<ProbeFetch>();
  visit.template operator()<ProbeFilled>();
}

template <class Visit>
void each_of_the_feed(Visit&& visit) {
  visit.template operator()<ListRuns>();
  visit.template operator()<RunPage>();
  visit.template operator()<RunLine>();
  visit.template operator()<NamedValue>();
  visit.template operator()<Watch>();
  visit.template operator()<LogPlace>();
  visit.template operator()<Watched>();
  visit.template operator()<Unwatch>();
  visit.template operator()<History>();
  visit.template operator()<News>();
  visit.template operator()<Live>();
  visit.template operator()<LiveValue>();
  visit.template operator()<Steer>();
  visit.template operator()<Steered>();
  visit.template operator()<ReadOutput>();
  visit.template operator()<OutputPart>();
}

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
  visit.template operator()<Epoch>();
  visit.template operator()<Mode>();
  visit.template operator()<Window>();
  visit.template operator()<Offer>();
  visit.template operator()<Fetch>();
  visit.template operator()<FetchCheckpoint>();
  visit.template operator()<Admit>();
  visit.template operator()<Segment>();
  visit.template operator()<Record>();
  visit.template operator()<Chunk>();
  visit.template operator()<Hole>();
  visit.template operator()<Want>();
  visit.template operator()<Demand>();
  visit.template operator()<Block>();
  visit.template operator()<ChunkRun>();
  visit.template operator()<Seal>();
  visit.template operator()<Receipt>();
  visit.template operator()<Beat>();
  visit.template operator()<Pace>();
  visit.template operator()<Committed>();
  visit.template operator()<Stop>();
  visit.template operator()<Ask>();
  visit.template operator()<Answer>();
  visit.template operator()<Line>();
  visit.template operator()<Outcome>();
  each_of_the_feed(visit);
  each_of_probes(visit);
  visit.template operator()<BasePart>();  // the fuzz target's seeds choose by place: last
}

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

template <class T>
GoldenBytes golden_transfer(std::string_view what, const T& message) {
  return {fmt::format("transfer-{}-{}", type_name<T>(), what), encode(TransferMessage(message)),
          dump(message)};
}

template <class T>
GoldenBytes golden_feed_message(std::string_view what, const T& message) {
  return {fmt::format("feed-{}-{}", type_name<T>(), what), encode(FeedMessage(message)),
          dump(message)};
}

template <class T>
GoldenBytes golden_probe_message(std::string_view what, const T& message) {
  return {fmt::format("probe-{}-{}", type_name<T>(), what), encode(ProbeMessage(message)),
          dump(message)};
}

}  // namespace longhaul::wire
