// Exit codes of every longhaul program. Scripts depend on them: they never change their meaning.
#pragma once

#include "lib/base/error.hpp"

namespace longhaul::cli {

enum ExitCode : int {
  kOk = 0,
  kError = 1,
  kUsageError = 2,
  kNotFoundError = 3,
  kAuthError = 4,
  kLinkError = 5,  // may be retried
  kIntegrityError = 6,
  kPartialResult = 8,
  kInterruptedByUser = 130,
};

ExitCode exit_code_of(Kind kind);

}  // namespace longhaul::cli
