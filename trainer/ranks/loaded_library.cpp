#include "trainer/ranks/loaded_library.hpp"

#include <fmt/format.h>
#include <link.h>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {

std::vector<std::string> loaded_libraries() {
  std::vector<std::string> files;
  const auto take = [](dl_phdr_info* info, std::size_t, void* to) {
    const std::string_view name = info->dlpi_name == nullptr ? "" : info->dlpi_name;
    if (!name.empty()) static_cast<std::vector<std::string>*>(to)->emplace_back(name);
    return 0;
  };
  ::dl_iterate_phdr(take, &files);
  return files;
}

Result<> expect_one_nccl(std::span<const std::string> files) {
  const std::string* first = nullptr;
  for (const std::string& file : files) {
    const std::string_view name = std::string_view(file).substr(file.rfind('/') + 1);
    if (!name.starts_with("libnccl.so")) continue;
    if (first != nullptr)
      return fail(Error(Kind::kUnsupported, "sum over the ranks by NCCL",
                        fmt::format("two copies of it are loaded, {} and {}",
                                    printable(*first, 300), printable(file, 300)))
                      .advise("build with NCCL_LIBRARY set to the one that LibTorch loads"));
    first = &file;
  }
  return {};
}

}  // namespace longhaul::trainer
