// Traces: a recorded session runs again from the trace alone and does the same; a changed trace is
// told from it.
#include "lib/session/trace.hpp"

#include <gtest/gtest.h>

#include "lib/session/replay.hpp"
#include "tests/sim/session_world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;

struct Memory final : session::TraceSink {
  void append(Bytes more) override { longhaul::append(bytes, more); }
  ByteVector bytes;
};

struct Recorded {
  Memory laptop, site;
};

// A session that meets all that a session may: loss, an outage, a reset, a clock that leaps, live
// and control messages, jobs, a rate limit, an end.
void run_recorded(Recorded& traces, bool payloads) {
  struct Nothing final : Work {
    void run() override {}
  };
  WorldOptions options;
  options.link.loss = 0.003;
  options.link.megabits = 30;
  SessionWorld world(41, options);
  world.laptop.trace = &traces.laptop;
  world.site.trace = &traces.site;
  world.laptop.trace_payloads = world.site.trace_payloads = payloads;
  world.laptop.service.send_bulk(2U << 20);
  for (std::uint64_t i = 0; i < 20; ++i) world.laptop.service.send(Lane::kControl, i, 300);
  world.laptop.service.send(Lane::kLive, 100, 200, 1);
  world.laptop.service.send(Lane::kUpdate, 101, 60'000, 0, Time{} + 5s);
  world.laptop.service.hand_out(std::make_unique<Nothing>());
  world.site.service.send(Lane::kDemand, 102, 50'000);
  world.start();
  world.run_for(1200ms);
  world.wan.apply(world.link, netsim::Outage{6s});
  world.run_for(8s);
  world.laptop.reset_one(session::PathRole::kBulk);
  world.laptop.clock_ahead += 10min;
  world.laptop.session->set_rate_limit(world.laptop.clock(), BytesPerSecond(1'000'000));
  world.site.session->on_addresses_changed(world.site.clock());
  world.laptop.drain();
  world.run_for(4s);
  ASSERT_EQ(world.site.service.bytes_in(Lane::kBulk), 2U << 20);
  world.laptop.session->end(world.laptop.clock(), Error(Kind::kInterrupted, "go on", "the test"));
  world.laptop.drain();
  world.run_for(2s);
}

void expect_same(Bytes trace) {
  const auto report = session::replay(trace);
  ASSERT_TRUE(report.has_value()) << report.error().message();
  if (report->divergence.has_value()) {
    ADD_FAILURE() << "record " << report->divergence->record << ": " << report->divergence->recorded
                  << " became " << report->divergence->replayed;
  }
  EXPECT_EQ(report->recorded_hash, report->replayed_hash);
  EXPECT_FALSE(report->cut);
  EXPECT_GT(report->inputs, 500U);
  EXPECT_GT(report->outputs, 300U);
  EXPECT_GT(report->span, Duration(10s));
}

TEST(Trace, AReplayDoesWhatTheSessionDid) {
  for (const bool payloads : {false, true}) {
    Recorded traces;
    run_recorded(traces, payloads);
    expect_same(traces.laptop.bytes);
    expect_same(traces.site.bytes);
  }
}

TEST(Trace, HoldsNeitherPayloadsNorSecretsUnlessAsked) {
  Recorded hashed, kept;
  run_recorded(hashed, false);
  run_recorded(kept, true);
  EXPECT_LT(hashed.laptop.bytes.size() * 4, kept.laptop.bytes.size());
  const Slice body = make_body(1, 300);  // of a control message that was sent
  const Bytes needle = body.bytes().subspan(20, 64);
  const auto holds = [&](const ByteVector& trace) {
    return std::search(trace.begin(), trace.end(), needle.begin(), needle.end()) != trace.end();
  };
  EXPECT_FALSE(holds(hashed.laptop.bytes));
  EXPECT_FALSE(holds(hashed.site.bytes));
  EXPECT_TRUE(holds(kept.laptop.bytes));
  EXPECT_TRUE(holds(kept.site.bytes));
}

// One record of a trace changed at a time: what the session was told, or what it did.
TEST(Trace, AChangedTraceIsReported) {
  Recorded traces;
  run_recorded(traces, false);
  const std::size_t magic = session::trace::kTraceMagic.size();
  const Bytes whole(traces.laptop.bytes);
  std::vector<std::pair<std::size_t, std::size_t>> records;  // where each begins and ends
  for (std::size_t at = magic; at < whole.size();) {
    wire::Reader reader(whole.subspan(at));
    const auto size = static_cast<std::size_t>(reader.varint());
    const std::size_t begin = whole.size() - reader.left();
    records.emplace_back(begin, begin + size);
    at = begin + size;
  }
  int reported = 0, changed = 0;
  for (std::size_t i = 1; i < records.size(); i += 41) {
    const auto [begin, end] = records[i];
    auto record = wire::decode<session::trace::Record>(whole.subspan(begin, end - begin));
    ASSERT_TRUE(record.has_value());
    if (auto* did = std::get_if<session::trace::Did>(&*record)) {
      did->what += "!";
    } else if (auto* sent = std::get_if<session::trace::Sent>(&*record)) {
      sent->payload.bytes += 1;
    } else if (auto* taken = std::get_if<session::trace::Taken>(&*record)) {
      taken->bytes += 1;
    } else {
      continue;
    }
    ByteVector bent(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(
                                                       i == 0 ? magic : records[i - 1].second));
    const ByteVector body = wire::encode(*record);
    wire::Writer counter;
    counter.varint(body.size());
    ByteVector length(counter.size());
    wire::Writer writer(length);
    writer.varint(body.size());
    append(bent, length);
    append(bent, body);
    append(bent, whole.subspan(end));
    ++changed;
    const auto report = session::replay(bent);
    ASSERT_TRUE(report.has_value());
    ASSERT_TRUE(report->divergence.has_value()) << "record " << i + 1;
    EXPECT_LE(report->divergence->record, i + 2) << "far behind the change";
    EXPECT_FALSE(report->divergence->recorded.empty());
    EXPECT_FALSE(report->divergence->replayed.empty());
    ++reported;
  }
  EXPECT_GT(changed, 20);
  EXPECT_EQ(reported, changed);
}

// Told otherwise, it does otherwise: a trace whose room for writing never came.
TEST(Trace, AnInputLeftOutIsReported) {
  Recorded traces;
  run_recorded(traces, false);
  const std::size_t magic = session::trace::kTraceMagic.size();
  const Bytes whole(traces.laptop.bytes);
  ByteVector bent(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(magic));
  std::size_t left_out = 0;
  for (std::size_t at = magic; at < whole.size();) {
    wire::Reader reader(whole.subspan(at));
    const auto size = static_cast<std::size_t>(reader.varint());
    const std::size_t begin = whole.size() - reader.left();
    const auto record = wire::decode<session::trace::Record>(whole.subspan(begin, size));
    ASSERT_TRUE(record.has_value());
    const auto* room = std::get_if<session::trace::Writable>(&*record);
    if (room != nullptr && room->bytes > 0) {
      ++left_out;
    } else {
      append(bent, whole.subspan(at, begin + size - at));
    }
    at = begin + size;
  }
  ASSERT_GT(left_out, 100U);
  const auto report = session::replay(bent);
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->divergence.has_value());
}

TEST(Trace, CutAnywhereItEndsThere) {
  Recorded traces;
  run_recorded(traces, false);
  const Bytes whole(traces.site.bytes);
  for (std::size_t size = 40; size < whole.size(); size += whole.size() / 23) {
    const auto report = session::replay(whole.first(size));
    if (!report.has_value()) continue;  // within the first records
    EXPECT_FALSE(report->divergence.has_value()) << size;
    EXPECT_EQ(report->recorded_hash, report->replayed_hash) << size;
  }
  EXPECT_EQ(session::replay(bytes_of("no trace")).error().message(),
            "replay the trace: it does not begin as one does");
}

}  // namespace
}  // namespace longhaul::test
