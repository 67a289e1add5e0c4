// WaitNotice: when one who waits for data says for what, and since when: after a second, at once
// when it has become something else, and again after ten seconds, a minute and every ten minutes.
// Time is an argument.
//
//   WaitNotice notice(now);
//   while (!here()) if (const auto text = notice.due(now, lacks)) say(*text);
#pragma once

#include <optional>
#include <string>

#include "lib/base/units.hpp"

namespace longhaul::trainer {

class WaitNotice {
 public:
  explicit WaitNotice(Time began) : since_(began), next_(began + kFirst) {}
  // "waits for chunk 3 of x.bin, since 61.0 s", when that is due. A `lacks` that changes meanwhile
  // is waited for since it was first named.
  std::optional<std::string> due(Time now, const std::string& lacks);
  // What was said last; empty: nothing was.
  const std::string& said() const { return said_; }

 private:
  static constexpr Duration kFirst = std::chrono::seconds(1);
  Time since_, next_;
  std::string lacks_, said_;
  std::size_t repeats_ = 0;  // of what was said last
};

}  // namespace longhaul::trainer
