// `longhaul-streamer verify`: what `longhaul verify` asks of a site, for its operator, while no
// streamer runs on that root. Returns the exit code; errors have been said on the console.
#pragma once

#include <string>

#include "lib/cli/console.hpp"

namespace longhaul::streamer {

struct VerifyOptions {
  std::string root;
  std::string dataset;   // NAME or NAME@VERSION; empty: only what `rebuild` says
  bool rebuild = false;  // the index of chunks, from every manifest
  bool sums = false;     // print what sha256sum would
  bool json = false;
};
int verify(cli::Console& console, const VerifyOptions& options);

}  // namespace longhaul::streamer
