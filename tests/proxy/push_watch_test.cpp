#include "proxy/push_watch.hpp"

#include <gtest/gtest.h>

namespace longhaul::proxy {
namespace {

TEST(PushWatch, GoesOnWhereWaitingMayHelp) {
  for (const Kind kind : {Kind::kLink, Kind::kTimeout, Kind::kChanged, Kind::kBusy}) {
    EXPECT_TRUE(may_mend_itself(kind, false)) << name_of(kind);
    EXPECT_TRUE(may_mend_itself(kind, true)) << name_of(kind);
  }
  // From the start they are a mistake in the command; later, something that happened.
  for (const Kind kind : {Kind::kNotFound, Kind::kNoSpace, Kind::kPermission, Kind::kIo}) {
    EXPECT_FALSE(may_mend_itself(kind, false)) << name_of(kind);
    EXPECT_TRUE(may_mend_itself(kind, true)) << name_of(kind);
  }
  for (const Kind kind : {Kind::kAuth, Kind::kUsage, Kind::kUnsupported, Kind::kMalformed,
                          Kind::kIntegrity, Kind::kLimit, Kind::kInterrupted})
    EXPECT_FALSE(may_mend_itself(kind, true)) << name_of(kind);
}

}  // namespace
}  // namespace longhaul::proxy
