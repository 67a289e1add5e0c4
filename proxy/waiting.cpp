#include "proxy/waiting.hpp"

#include "lib/cli/human.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kHintAfter = 5s;  // a healthy link is there long before

}  // namespace

std::string words_for(const Waiting& waiting) {
  std::string words = "connecting";
  if (waiting.was_linked)
    words = "no link for " + cli::human(waiting.since);
  else if (waiting.is_called)
    words = waiting.site + " has not called";
  if (waiting.dial) words += ", " + waiting.dial->message();
  if (waiting.since >= kHintAfter) words += "; `longhaul doctor " + waiting.site + "` looks why";
  return words;
}

}  // namespace longhaul::proxy
