#include "lib/io/file_system.hpp"

#include <sys/vfs.h>

#include <array>

namespace longhaul::io {
namespace {

struct SharedType {
  std::uint32_t magic;  // statfs(2) and the kernel's linux/magic.h; the vendors' for the rest
  const char* name;
};
constexpr std::array<SharedType, 16> kShared{{{0x00006969, "NFS"},
                                              {0xFF534D42, "SMB"},
                                              {0xFE534D42, "SMB"},
                                              {0x0000517B, "SMB"},
                                              {0x65735546, "FUSE"},
                                              {0x0BD00BD0, "Lustre"},
                                              {0x47504653, "GPFS"},
                                              {0x19830326, "BeeGFS"},
                                              {0x00C36400, "Ceph"},
                                              {0x01021997, "9p"},
                                              {0x5346414F, "AFS"},
                                              {0x6B414653, "AFS"},
                                              {0x73757245, "Coda"},
                                              {0x01161970, "GFS2"},
                                              {0x7461636F, "OCFS2"},
                                              {0x786F4256, "VirtualBox"}}};

}  // namespace

std::optional<std::string> shared_file_system(std::uint32_t type) {
  for (const SharedType& shared : kShared)
    if (shared.magic == type) return shared.name;
  return std::nullopt;
}

std::optional<std::string> shared_file_system_at(const std::string& path) {
  struct ::statfs status {};
  if (::statfs(path.c_str(), &status) != 0) return std::nullopt;
  return shared_file_system(static_cast<std::uint32_t>(status.f_type));
}

}  // namespace longhaul::io
