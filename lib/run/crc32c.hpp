// CRC-32C (Castagnoli; polynomial 0x82F63B78 reflected, initial value and final XOR all ones), as
// in iSCSI (RFC 3720 B.4) and TensorBoard's record files. Detects torn and rotted records; it is no
// protection against anybody who means it.
#pragma once

#include <cstdint>

#include "lib/base/bytes.hpp"

namespace longhaul::run {

// `seed`: the CRC of what came before, for bytes that arrive in parts; "123456789" gives
// 0xE3069283.
std::uint32_t crc32c(Bytes bytes, std::uint32_t seed = 0);

namespace scalar {  // the same without the processor's own instruction
std::uint32_t crc32c(Bytes bytes, std::uint32_t seed = 0);
}

}  // namespace longhaul::run
