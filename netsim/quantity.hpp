// Quantities as people write them, read strictly: a number and its unit, nothing before, between or
// after. What is printed reads back to exactly the same value. Pure; errors are kUsage, one line.
//
//   duration   150ms 1.5s 2min 1h 250us 40ns 0     exact to the nanosecond, at most a year
//   rate       100mbit 1gbit 56kbit 12.5MB/s 2MiB/s   rounded to whole bytes per second, 1 B/s to 1
//   TB/s size       1500B 64kB 512KiB 1.5MiB 2GiB       whole bytes share      1% 0.01 1e-6 a
//   probability, 0 to 1
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "netsim/config.hpp"

namespace netsim {

Result<Duration> parse_duration(std::string_view text);         // >= 0
Result<Duration> parse_signed_duration(std::string_view text);  // a leading + or - is allowed
Result<BytesPerSecond> parse_rate_value(std::string_view text);
Result<ByteCount> parse_size(std::string_view text);
Result<double> parse_share(std::string_view text);
Result<double> parse_number(std::string_view text);  // plain decimal, >= 0, finite
Result<std::uint64_t> parse_count(std::string_view text, std::uint64_t least, std::uint64_t most);

std::string to_text(Duration value);
std::string to_text(BytesPerSecond value);
std::string to_text(ByteCount value);
std::string share_text(double p);
std::string number_text(double value);  // shortest form that reads back to the same double

}  // namespace netsim
