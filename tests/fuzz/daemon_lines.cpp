// What any local process may send to the daemon, and any text as an order or a list of runs: no
// crash, bounded memory, and what is accepted reads the same after writing.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/assert.hpp"
#include "proxy/daemon/lines.hpp"
#include "proxy/daemon/order.hpp"
#include "proxy/daemon/run_lines.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  using namespace longhaul::daemon;
  const Bytes bytes = std::as_bytes(std::span(data, size));
  const std::string_view text = text_of(bytes);
  // The first byte says how the rest is cut.
  const std::size_t step = size > 0 ? std::size_t{data[0]} + 1 : 1;
  LineReader reader(kRequestLineMax);
  for (std::size_t at = 0; at < size; at += step) {
    if (!reader.take(bytes.subspan(at, std::min(step, size - at)))) break;
    while (const auto line = reader.next()) {
      ASSERT(line->size() <= kRequestLineMax);
      if (const auto request = parse_request(*line)) {
        std::string again = to_line(*request);
        again.pop_back();
        ASSERT(parse_request(again).has_value());
      }
    }
  }
  if (const auto order = parse_order(text)) {
    const auto again = parse_order(to_text(*order));
    ASSERT(!again || to_text(*again) == to_text(*order));
  }
  if (const auto list = parse_run_list(text)) {
    const auto again = parse_run_list(to_text(*list));
    ASSERT(again.has_value() && to_text(*again) == to_text(*list));
  }
  return 0;
}
