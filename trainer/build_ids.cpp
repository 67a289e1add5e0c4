#include "trainer/build_ids.hpp"

#include <fmt/format.h>
#include <link.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

namespace longhaul::trainer {
namespace {

constexpr std::array<std::string_view, 14> kOfBits = {
    "libtorch", "libc10",   "libopenblas", "libblas", "libmkl",    "libdnnl",   "libsleef",
    "libgomp",  "libiomp5", "libgloo",     "libnccl", "libcudart", "libcublas", "libm."};

bool of_bits(std::string_view name) {
  for (const std::string_view start : kOfBits)
    if (name.starts_with(start)) return true;
  return false;
}

std::string hex_of(const unsigned char* bytes, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

// In one PT_NOTE segment, as the loader has mapped it; empty: it is not there.
std::string build_id_in(const char* at, std::size_t bytes) {
  constexpr std::string_view kOwner("GNU\0", 4);
  const auto padded = [](std::size_t n) { return (n + 3) / 4 * 4; };
  while (bytes >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof note);
    const std::size_t name = padded(note.n_namesz), whole = name + padded(note.n_descsz);
    at += sizeof note;
    bytes -= sizeof note;
    if (whole > bytes) break;
    if (note.n_type == NT_GNU_BUILD_ID && std::string_view(at, note.n_namesz) == kOwner)
      return hex_of(reinterpret_cast<const unsigned char*>(at + name), note.n_descsz);
    at += whole;
    bytes -= whole;
  }
  return {};
}

std::string build_id_of(const dl_phdr_info& object) {
  for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    // The loader's addresses are numbers.
    const auto* at = reinterpret_cast<const char*>(object.dlpi_addr + segment.p_vaddr);
    if (std::string id = build_id_in(at, segment.p_memsz); !id.empty()) return id;
  }
  return {};
}

template <class Visit>
void each_object(Visit& visit) {
  const auto call = [](dl_phdr_info* object, std::size_t, void* to) {
    (*static_cast<Visit*>(to))(*object);
    return 0;
  };
  ::dl_iterate_phdr(call, &visit);
}

}  // namespace

std::string own_build_id() {
  std::string out;
  bool first = true;  // the program itself is told first
  auto visit = [&](const dl_phdr_info& object) {
    if (std::exchange(first, false)) out = build_id_of(object);
  };
  each_object(visit);
  return out.empty() ? "none" : out;
}

std::map<std::string, std::string> library_ids() {
  std::map<std::string, std::string> out;
  auto visit = [&](const dl_phdr_info& object) {
    const std::filesystem::path file(object.dlpi_name);
    const std::string name = file.filename().native();
    if (!of_bits(name)) return;
    std::string id = build_id_of(object);
    std::error_code unknown;
    if (id.empty()) id = fmt::format("{} bytes", std::filesystem::file_size(file, unknown));
    out[name] = id;
  };
  each_object(visit);
  return out;
}

}  // namespace longhaul::trainer
