// VerifyReport: what a verify says, at whichever end it runs: damaged names, flat sums, the end.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/cli/console.hpp"

namespace longhaul::cli {

class VerifyReport {
 public:
  VerifyReport(Console& console, bool json) : console_(console), json_(json) {}

  // With sums on stdout, damage goes to stderr, so that `sha256sum -c` can read the former alone.
  void bad(std::string_view name, std::string_view why, bool beside_sums);
  void sum(std::string_view name, std::string_view hex);
  void done(std::uint64_t files, std::uint64_t bytes, std::uint64_t bad);
  void rebuilt(std::uint64_t files, std::uint64_t bad);

 private:
  Console& console_;
  const bool json_;
};

}  // namespace longhaul::cli
