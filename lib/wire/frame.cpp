#include "lib/wire/frame.hpp"

#include <fmt/format.h>

namespace longhaul::wire {

Result<std::optional<FrameHeader>> read_frame_header(Bytes in) {
  if (in.size() < kFrameHeaderBytes) return std::nullopt;
  FrameHeader header;
  header.type = std::to_integer<std::uint8_t>(in[0]);
  header.body_bytes = load_le<std::uint16_t>(in.subspan(1));
  if (header.body_bytes > kFrameMax - kFrameHeaderBytes) {
    return fail(Kind::kLimit, "read a frame", "it is longer than a frame may be");
  }
  return header;
}

Result<std::optional<FrameType>> judge_frame_type(std::uint8_t type) {
  for (const auto& known : wire_values(FrameType{})) {
    if (static_cast<std::uint8_t>(known.value) == type) return known.value;
  }
  if ((type & kOptionalFrame) != 0) return std::nullopt;
  return fail(Kind::kUnsupported, "read a frame",
              fmt::format("the peer needs frame type {}, which this version does not know", type));
}

void write_frame_header(MutableBytes out, FrameType type, std::size_t body_bytes) {
  ASSERT(body_bytes <= kFrameMax - kFrameHeaderBytes);
  out[0] = static_cast<std::byte>(type);
  store_le<std::uint16_t>(out.subspan(1), static_cast<std::uint16_t>(body_bytes));
}

}  // namespace longhaul::wire
