// Every named maximum of the wire that more than one message shares. A number from a peer is held
// against one of these before anything is allocated. A message's own maxima stand beside it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longhaul::wire {

// One frame with its header fills at most one TLS record, so that a lane waits for at most 16 KiB
// of another lane's bytes and a frame mostly arrives as one piece.
constexpr std::size_t kFrameBytesMax = 16384;
constexpr std::size_t kFrameHeaderBytes = 3;
constexpr std::size_t kFrameBodyBytesMax = kFrameBytesMax - kFrameHeaderBytes;

constexpr std::size_t kNameBytesMax = 255;  // a node, a dataset, a run: also a file's name

}  // namespace longhaul::wire
