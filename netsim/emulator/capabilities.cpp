#include "netsim/emulator/capabilities.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace netsim::emulator {
namespace {

constexpr int kCapabilityMax = 63;  // two words of 32 each

using Sets = std::array<__user_cap_data_struct, 2>;

bool get(Sets& sets) {
  __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(SYS_capget, &head, sets.data()) == 0;
}
bool set(const Sets& sets) {
  __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(SYS_capset, &head, sets.data()) == 0;
}

}  // namespace

bool drop_capabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int cap = 0; cap <= kCapabilityMax; ++cap) {
    if (::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1) continue;
    // Without CAP_SETPCAP nothing can be dropped; then exec must not give anything either.
    if (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) break;
  }
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && set(Sets{});
}

bool keep_capabilities() {
  Sets sets{};
  if (!get(sets)) return false;
  for (auto& word : sets) word.inheritable = word.permitted;
  if (!set(sets)) return false;
  for (int cap = 0; cap <= kCapabilityMax; ++cap) {
    const auto index = static_cast<std::size_t>(cap) / 32;
    if ((sets[index].permitted >> (cap % 32) & 1U) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) != 0 && errno != EINVAL)
      return false;
  }
  return true;
}

}  // namespace netsim::emulator
