// Every reader of netsim/settings.hpp and profile.hpp on arbitrary bytes: no crash, no hang, and
// whatever is accepted prints to something that reads back equal.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/assert.hpp"
#include "netsim/profile.hpp"
#include "netsim/settings.hpp"

using namespace netsim;

namespace {

void words(std::string_view text) {
  if (const auto loss = parse_loss(text)) ASSERT(parse_loss(loss_text(*loss)) == *loss);
  if (const auto rate = parse_rate(text)) ASSERT(parse_rate(rate_text(*rate)) == *rate);
  if (const auto jitter = parse_jitter(text)) ASSERT(parse_jitter(jitter_text(*jitter)) == *jitter);
  const QueueContext context{ConstantRate{BytesPerSecond(12'500'000)},
                             std::chrono::milliseconds(150)};
  if (const auto queue = parse_queue(text, context))
    ASSERT(parse_queue(queue_text(*queue), {}) == *queue);
  if (const auto event = parse_event(text)) ASSERT(parse_event(event_text(*event)) == *event);
  if (const auto assignment = parse_assignment(text)) {
    const Assignment only[] = {*assignment};
    if (const auto link = with(LinkConfig{}, only)) ASSERT(check(*link).has_value());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  words(text);
  if (const auto link = link_from_json(text)) ASSERT(link_from_json(to_json(*link)) == *link);
  if (const auto profile = profile_from_json(text))
    ASSERT(profile_from_json(to_json(*profile)) == *profile);
  if (const auto request = request_from_json(text))
    ASSERT(request_from_json(to_json(*request)) == *request);
  (void)parse_reply(text);
  return 0;
}
