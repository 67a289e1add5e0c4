// Any bytes as a trace: behind the magic words come records. The result is a report or kMalformed.
#include <cstddef>
#include <cstdint>

#include "lib/base/assert.hpp"
#include "lib/session/replay.hpp"
#include "lib/session/trace_records.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  if (size > 65536) return 0;
  ByteVector trace;
  append(trace, bytes_of(session::trace::kTraceMagic));
  append(trace, std::as_bytes(std::span(data, size)));
  const auto report = session::replay(trace);
  if (report.has_value() && !report->divergence.has_value() && !report->cut)
    ASSERT(report->recorded_hash == report->replayed_hash);
  if (!report.has_value()) ASSERT(report.error().kind() == Kind::kMalformed);
  return 0;
}
