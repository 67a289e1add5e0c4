#include "proxy/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <vector>

namespace longhaul::proxy {
namespace {

using Row = std::vector<std::string>;

// The rows of such a table below its heading, as words.
std::vector<Row> rows_of(std::string_view table, std::size_t words) {
  std::vector<Row> rows;
  std::istringstream lines{std::string(table)};
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream text(line);
    Row row{std::istream_iterator<std::string>(text), {}};
    if (row.size() >= words) rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<std::uint32_t> number(const std::string& digits, int base) {
  std::uint32_t out = 0;
  const char* end = digits.data() + digits.size();
  const auto [stopped, status] = std::from_chars(digits.data(), end, out, base);
  if (status != std::errc{} || stopped != end) return std::nullopt;
  return out;
}

std::string dotted(std::uint32_t address) {  // as the kernel prints it: the first byte is the least
  return fmt::format("{}.{}.{}.{}", address & 0xffU, address >> 8 & 0xffU, address >> 16 & 0xffU,
                     address >> 24);
}

std::string hardware_of(const std::string& address, const std::string& interface,
                        std::string_view neighbours) {
  constexpr std::size_t kAddress = 0, kFlags = 2, kHardware = 3, kInterface = 5;
  constexpr std::uint32_t kComplete = 2;  // ATF_COM
  for (const Row& row : rows_of(neighbours, kInterface + 1)) {
    if (row[kAddress] != address || row[kInterface] != interface) continue;
    const auto flags = number(row[kFlags].substr(std::min<std::size_t>(2, row[kFlags].size())), 16);
    if (!flags || (*flags & kComplete) == 0) continue;
    std::string hardware = row[kHardware];
    std::erase(hardware, ':');
    return hardware;
  }
  return "";
}

std::string whole(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string network_in(std::string_view routes, std::string_view neighbours) {
  constexpr std::size_t kInterface = 0, kTo = 1, kGateway = 2, kFlags = 3, kMetric = 6, kMask = 7;
  constexpr std::uint32_t kUp = 1;  // RTF_UP
  std::string interface;
  std::uint32_t gateway = 0;
  std::optional<std::uint32_t> least;
  for (const Row& row : rows_of(routes, kMask + 1)) {
    const auto to = number(row[kTo], 16), mask = number(row[kMask], 16);
    const auto via = number(row[kGateway], 16), flags = number(row[kFlags], 16);
    const auto metric = number(row[kMetric], 10);
    if (to != 0U || mask != 0U || !via || !flags || (*flags & kUp) == 0 || !metric) continue;
    if (least && *least <= *metric) continue;
    least = metric;
    interface = row[kInterface];
    gateway = *via;
  }
  if (!least) return "";
  const std::string address = dotted(gateway);
  const std::string hardware = hardware_of(address, interface, neighbours);
  std::string name = interface + "-" + address + (hardware.empty() ? "" : "-" + hardware);
  std::replace(name.begin(), name.end(), '/', '_');  // it becomes a part of a file's name
  return name;
}

std::string network_now() {
  return network_in(whole("/proc/net/route"), whole("/proc/net/arp"));
}

}  // namespace longhaul::proxy
