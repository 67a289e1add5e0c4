#include "lib/base/read_number.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace longhaul {
namespace {

TEST(ReadNumber, TakesWhatTheTextBeginsWith) {
  const auto expect = [](std::string_view text, double value, std::size_t length) {
    const NumberRead read = read_number(text);
    EXPECT_EQ(read.length, length) << text;
    EXPECT_EQ(length > 0 ? read.value : 0, value) << text;
  };
  expect("12", 12, 2);
  expect("-0.5x", -0.5, 4);
  expect(".25", 0.25, 3);
  expect("3.", 3, 2);
  expect("1e-3", 1e-3, 4);
  expect("2E+2MB", 200, 4);
  expect("10eb", 10, 2);  // no exponent
  expect("1.5.2", 1.5, 3);
  for (const std::string_view none : {"", "-", ".", "+1", " 1", "x1", "e5", "-.e1"})
    expect(none, 0, 0);
}

TEST(ReadNumber, RefusesWhatADoubleCannotHold) {
  EXPECT_EQ(read_number("1e999").length, 0U);
  EXPECT_TRUE(std::isfinite(read_number("1e308").value));
}

}  // namespace
}  // namespace longhaul
