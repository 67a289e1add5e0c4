// `longhaul-streamer doctor`: this host and the store root, each as findings of one check after the
// other. Makes nothing that is missing.
#pragma once

#include "streamer/daemon.hpp"

namespace longhaul::streamer {

// kError when one finding is a failure.
int doctor(cli::Console& console, const DaemonOptions& options);

}  // namespace longhaul::streamer
