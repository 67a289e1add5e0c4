// The session's frames in datagrams, and what a TLS path says about them. A frame in a datagram is
// a type and the message, without a length. Layout of the packets: docs/wire.md. Values.
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/codec.hpp"

namespace longhaul::wire {

enum class DatagramFrame : std::uint8_t {
  kWindow = 8,  // beside an acknowledgement; asks for none
  kData = 16,
  kControl = 17,
  kWindowNews = 18,  // the same message as kWindow, when the other side may be waiting for it
  kGoodbye = 19,
};
constexpr auto wire_values(DatagramFrame) {
  return std::array{Known{DatagramFrame::kWindow, "Window"}, Known{DatagramFrame::kData, "Data"},
                    Known{DatagramFrame::kControl, "Control"},
                    Known{DatagramFrame::kWindowNews, "Window"},
                    Known{DatagramFrame::kGoodbye, "Goodbye"}};
}

struct Window {
  std::uint64_t control_next = 0;
  std::uint64_t credit = 0;
  template <class F>
  static void fields(F& f) {
    f(&Window::control_next, "control_next", "as in Ack");
    f(&Window::credit, "credit", "as in Ack");
  }
};

// On a TLS path: from here on datagrams are sealed with keys of this number, from this connection.
struct Epoch {
  std::uint32_t number = 0;
  template <class F>
  static void fields(F& f) {
    f(&Epoch::number, "number",
      "above all before; the first is 0 and not announced; one that is not is skipped");
  }
};

// How to treat others on the link (docs/rate.md).
enum class SendMode : std::uint8_t { kFair = 0, kBackground = 1, kMax = 2 };
constexpr auto wire_values(SendMode) {
  return std::array{Known{SendMode::kFair, "fair"}, Known{SendMode::kBackground, "background"},
                    Known{SendMode::kMax, "max"}};
}

// The dialler's wish for what comes to it; holds for the session. Fair where none came.
struct Mode {
  SendMode mode = SendMode::kFair;
  template <class F>
  static void fields(F& f) {
    f(&Mode::mode, "mode", "of the receiver's rate control in datagrams");
  }
};

}  // namespace longhaul::wire
