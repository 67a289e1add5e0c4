#include "lib/cli/exit_code.hpp"

namespace longhaul::cli {

ExitCode exit_code_of(Kind kind) {
  switch (kind) {
    case Kind::kUsage:
      return kUsageError;
    case Kind::kNotFound:
      return kNotFoundError;
    case Kind::kAuth:
      return kAuthError;
    case Kind::kLink:
    case Kind::kTimeout:
      return kLinkError;
    case Kind::kIntegrity:
      return kIntegrityError;
    case Kind::kPartial:
      return kPartialResult;
    case Kind::kInterrupted:
      return kInterruptedByUser;
    case Kind::kIo:
    case Kind::kNoSpace:
    case Kind::kPermission:
    case Kind::kExists:
    case Kind::kBusy:
    case Kind::kChanged:
    case Kind::kMalformed:
    case Kind::kLimit:
    case Kind::kUnsupported:
      return kError;
  }
  return kError;
}

}  // namespace longhaul::cli
