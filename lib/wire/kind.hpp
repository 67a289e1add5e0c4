// How an Error's Kind travels: the peer's refusal keeps its exit code.
#pragma once

#include <array>

#include "lib/base/error.hpp"
#include "lib/wire/codec.hpp"

namespace longhaul {

constexpr auto wire_values(Kind) {
  return std::array{wire::Known{Kind::kIo, "io"},
                    wire::Known{Kind::kNoSpace, "no-space"},
                    wire::Known{Kind::kPermission, "permission"},
                    wire::Known{Kind::kExists, "exists"},
                    wire::Known{Kind::kBusy, "busy"},
                    wire::Known{Kind::kChanged, "changed"},
                    wire::Known{Kind::kUsage, "usage"},
                    wire::Known{Kind::kNotFound, "not-found"},
                    wire::Known{Kind::kAuth, "auth"},
                    wire::Known{Kind::kLink, "link"},
                    wire::Known{Kind::kTimeout, "timeout"},
                    wire::Known{Kind::kIntegrity, "integrity"},
                    wire::Known{Kind::kMalformed, "malformed"},
                    wire::Known{Kind::kLimit, "limit"},
                    wire::Known{Kind::kUnsupported, "unsupported"},
                    wire::Known{Kind::kPartial, "partial"},
                    wire::Known{Kind::kInterrupted, "interrupted"}};
}

}  // namespace longhaul
