// Sizes, rates and durations as people read and write them. Decimal units (1 MB = 10^6 bytes), as
// disks and links are sold; KiB, MiB, GiB where written so.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace longhaul::cli {

std::string human(ByteCount bytes);      // "0 B", "999 B", "1.5 kB", "12.3 GB"
std::string human(BytesPerSecond rate);  // "12.3 MB/s"
std::string human(Duration span);        // "85 ms", "4.2 s", "3m12s", "2h05m", "3d04h"

// "500", "64KiB", "1.5GB": kUsage for anything else, or what does not fit.
Result<ByteCount> parse_size(std::string_view text);
// "10MB/s", "100mbit", "1.5gbit", "250KiB/s": more than zero.
Result<BytesPerSecond> parse_rate(std::string_view text);
// "250ms", "30s", "10min", "2h".
Result<Duration> parse_duration(std::string_view text);

}  // namespace longhaul::cli
