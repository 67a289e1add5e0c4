// Linked into the static streamer alone. The plug-ins that a host's nsswitch.conf may name are
// shared libraries of its own C library: a static program cannot load them safely. Both of these
// are built in.
#include <nss.h>

namespace {
[[maybe_unused]] const int kConfigured = __nss_configure_lookup("hosts", "files dns");
}  // namespace
