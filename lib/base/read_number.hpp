// read_number: the decimal number a text begins with, in C's notation whatever the locale, as
// std::from_chars reads it: no blanks before it, no '+', nothing hexadecimal.
#pragma once

#include <string_view>

namespace longhaul {

struct NumberRead {
  double value = 0;        // may be an infinity or no number, if the text says so
  std::size_t length = 0;  // bytes of the text; 0: it begins with no number, or one out of range
};
NumberRead read_number(std::string_view text);

}  // namespace longhaul
