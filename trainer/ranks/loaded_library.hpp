// Which shared libraries this process has loaded. LibTorch's wheel brings a libnccl of its own; a
// second one beside it, the toolkit's or the system's, has its own communicators and settings, and
// two of different versions have ended in crashes and hangs that name neither.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

// The files, as the loader names them; one that was reached by two names is there once.
std::vector<std::string> loaded_libraries();
// kUnsupported names both when two of `files` are libnccl.so*; its plugins (libnccl-net.so, ..) are
// other libraries. A NCCL that is linked into LibTorch itself is not seen.
Result<> expect_one_nccl(std::span<const std::string> files);

}  // namespace longhaul::trainer
