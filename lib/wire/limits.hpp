// Every named maximum of the wire that more than one message shares. A number from a peer is held
// against one of these before anything is allocated. A message's own maxima stand beside it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longhaul::wire {

// One frame with its header fills at most one TLS record, so that a lane waits for at most 16 KiB
// of another lane's bytes and a frame mostly arrives as one piece.
constexpr std::size_t kFrameMax = 16384;
constexpr std::size_t kFrameHeaderBytes = 3;
constexpr std::size_t kFragmentMax = 15 * 1024;  // of a message, in one Data frame
constexpr std::size_t kControlBodyMax = 1024;    // a message of the control lane
constexpr std::size_t kCredentialMax = 512;      // in a Hello
constexpr std::size_t kNodeNameMax = 63;         // what a node calls itself

}  // namespace longhaul::wire
