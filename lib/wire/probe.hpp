// Messages of a probe (`longhaul probe`): who says what when stands in docs/probe.md, byte tables
// in docs/wire.md. Probe packets themselves are datagrams of their own keys; these messages open a
// probe, order trains of packets and report how they came.
//
//   ByteVector bytes = encode(ProbeMessage(open));
//   ProbeMessage back = TRY(decode<ProbeMessage>(slice));
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "lib/wire/codec.hpp"
#include "lib/wire/kind.hpp"

namespace longhaul::wire {

using ProbeId = Id<struct ProbeTag>;                 // chosen by who probes, rising
using TrainId = Id<struct TrainTag, std::uint32_t>;  // rising within a probe
using ProbeToken = std::array<std::byte, 8>;         // shows that an address is ours

constexpr std::size_t kTrainPacketsMax = 1U << 16;
constexpr std::uint32_t kTrainPacketBytesMax = 9'000;  // of UDP payload
constexpr std::size_t kProbeReasonMax = 200;
constexpr std::size_t kFillMax = 1U << 16;

struct ProbeOpen {
  ProbeId probe;
  crypto::Digest seed;
  std::uint64_t budget_bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&ProbeOpen::probe, "probe");
    f(&ProbeOpen::seed, "seed", "random; keys of the probe's packets come from it");
    f(&ProbeOpen::budget_bytes, "budget_bytes", "both ways together, IP bytes");
  }
};

struct ProbeOpened {
  ProbeId probe;
  std::optional<Kind> failed;
  Text<kProbeReasonMax> text;
  std::uint64_t budget_bytes = 0;
  WallTime site_wall;
  template <class F>
  static void fields(F& f) {
    f(&ProbeOpened::probe, "probe");
    f(&ProbeOpened::failed, "failed", "there is no probe");
    f(&ProbeOpened::text, "text", "why");
    f(&ProbeOpened::budget_bytes, "budget_bytes", "what the site allows of it");
    f(&ProbeOpened::site_wall, "site_wall", "the site's clock at 0 us of the probe's times there");
  }
};

struct ProbeTrain {
  ProbeId probe;
  TrainId train;
  bool down = false;
  std::uint32_t packets = 0;
  std::uint32_t packet_bytes = 0;
  std::uint64_t rate = 0;
  ProbeToken token{};
  template <class F>
  static void fields(F& f) {
    f(&ProbeTrain::probe, "probe");
    f(&ProbeTrain::train, "train");
    f(&ProbeTrain::down, "down", "1: the site sends it; 0: it is about to come");
    f(&ProbeTrain::packets, "packets", "1 to 65536");
    f(&ProbeTrain::packet_bytes, "packet_bytes", "of UDP payload, each; 64 to 9000");
    f(&ProbeTrain::rate, "rate", "IP bytes a second; 0: as fast as it goes");
    f(&ProbeTrain::token, "token", "down: from an answer, for the address it came to");
  }
};

struct ProbeArrivals {
  ProbeId probe;
  TrainId train;
  std::uint64_t first_us = 0;
  List<std::int64_t, kTrainPacketsMax> packets;
  template <class F>
  static void fields(F& f) {
    f(&ProbeArrivals::probe, "probe");
    f(&ProbeArrivals::train, "train");
    f(&ProbeArrivals::first_us, "first_us", "when the first that came did, by the site's clock");
    f(&ProbeArrivals::packets, "packets",
      "of each: 0 lost; n > 0: it came n - 1 us after the one before it that came; n < 0: -n us "
      "before that");
  }
};

struct ProbeStop {
  ProbeId probe;
  template <class F>
  static void fields(F& f) {
    f(&ProbeStop::probe, "probe");
  }
};

// In bulk, of either side: bytes that say nothing.
struct ProbeFill {
  ProbeId probe;
  std::uint64_t total = 0;
  Blob<kFillMax> bytes;
  template <class F>
  static void fields(F& f) {
    f(&ProbeFill::probe, "probe");
    f(&ProbeFill::total, "total", "bytes of all of them together");
    f(&ProbeFill::bytes, "bytes", "of no meaning");
  }
};

struct ProbeFetch {
  ProbeId probe;
  std::uint64_t bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&ProbeFetch::probe, "probe");
    f(&ProbeFetch::bytes, "bytes", "that the site is to send in ProbeFill");
  }
};

struct ProbeFilled {
  ProbeId probe;
  std::uint64_t bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&ProbeFilled::probe, "probe");
    f(&ProbeFilled::bytes, "bytes", "of ProbeFill that came to the site: all");
  }
};

using ProbeMessage = std::variant<ProbeOpen, ProbeOpened, ProbeTrain, ProbeArrivals, ProbeStop,
                                  ProbeFill, ProbeFetch, ProbeFilled>;

}  // namespace longhaul::wire
