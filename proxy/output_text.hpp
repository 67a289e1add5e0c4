// OutputText: what a program printed, made fit for a terminal line by line: printable(), but tabs
// become spaces and of a line that was drawn over by carriage returns the last form is shown, as a
// terminal would. Colours are left out: a sequence that is one, whole, within the line.
#pragma once

#include <string>
#include <string_view>

namespace longhaul::proxy {

class OutputText {
 public:
  static constexpr std::size_t kLineMax = 16U << 10;  // a longer one is broken

  std::string take(std::string_view bytes);  // whole lines; the rest waits
  std::string finish();                      // the line that has no end, if there is one

 private:
  std::string line_;
};

}  // namespace longhaul::proxy
