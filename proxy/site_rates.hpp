// What a site took to publish, and how fast pushes to it went, in state/rates/SITE, so that a
// dry run can say how long a push will take. Learned at the end of each push from the site's own
// word; losing it costs accuracy only, so every failure here is silent.
#pragma once

#include <string>

#include "lib/base/units.hpp"
#include "proxy/app.hpp"

namespace longhaul::proxy {

struct SiteRates {
  Duration publish = 30ms;           // a version of few files
  Duration publish_per_file = 80us;  // until a larger push has measured it
  // Of pushes that the link held back, once its window was open; zero: none yet. What the session
  // remembers is the best it ever saw, this is what a push gets.
  BytesPerSecond rate;
};

SiteRates load_rates(const App& app, const std::string& site);
// A push that ended: files of the version; what the site says it needed; the rate, if measured.
struct PushTimes {
  std::uint64_t files = 0;
  Duration publish{};
  BytesPerSecond rate;
};
void learn_push(const App& app, const std::string& site, const PushTimes& times);

// What is known after that push: the better of old and new where it says nothing about one of them.
SiteRates learned(SiteRates rates, const PushTimes& times);
std::string rates_text(const SiteRates& rates);
SiteRates rates_in(std::string_view text);  // the defaults where the text is not as written

}  // namespace longhaul::proxy
