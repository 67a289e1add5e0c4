// ProbeBench: an emulator of its own with a UDP socket on either side, for the accuracy suite.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "netsim/emulator/emulator.hpp"
#include "netsim/settings.hpp"

namespace netsim::emulator {

struct ProbeBench {
  Emulator emulator;
  Fd a, b;
  ProbeBench() = default;
  ~ProbeBench();  // ends the emulator
  ProbeBench(const ProbeBench&) = delete;
  ProbeBench& operator=(const ProbeBench&) = delete;

  Result<> set_up(const HostSettings& host, const std::vector<Assignment>& settings);
  Result<nlohmann::json> stats();
};

struct Arrival {
  std::int64_t wall_ns = 0;  // by the kernel's stamp
  std::size_t bytes = 0;
  std::int64_t first_word = 0;  // the datagram's first 8 bytes
};
// nullopt: nothing came within `most`.
std::optional<Arrival> receive_one(const Fd& socket, std::chrono::milliseconds most);

inline constexpr int kUdpSegment = 103;  // UDP_SEGMENT; old headers lack it

}  // namespace netsim::emulator
