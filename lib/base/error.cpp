#include "lib/base/error.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "lib/base/assert.hpp"

namespace longhaul {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "longhaul: bug: %s (%s:%d)\n", expression, file, line);
  std::fflush(stderr);
  std::abort();
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kIo:
      return "io";
    case Kind::kNoSpace:
      return "no-space";
    case Kind::kPermission:
      return "permission";
    case Kind::kExists:
      return "exists";
    case Kind::kBusy:
      return "busy";
    case Kind::kChanged:
      return "changed";
    case Kind::kUsage:
      return "usage";
    case Kind::kNotFound:
      return "not-found";
    case Kind::kAuth:
      return "auth";
    case Kind::kLink:
      return "link";
    case Kind::kTimeout:
      return "timeout";
    case Kind::kIntegrity:
      return "integrity";
    case Kind::kMalformed:
      return "malformed";
    case Kind::kLimit:
      return "limit";
    case Kind::kUnsupported:
      return "unsupported";
    case Kind::kPartial:
      return "partial";
    case Kind::kInterrupted:
      return "interrupted";
  }
  return "unknown";
}

std::string Error::message() const {
  std::string text = attempt_.empty() ? std::string(name_of(kind_)) : attempt_;
  if (!why_.empty()) return text + ": " + why_;
  if (os_ != 0) return text + ": " + std::generic_category().message(os_);
  return text;
}

Kind Error::kind_of_errno(int os) {
  switch (os) {
    case ENOENT:
    case ENOTDIR:
      return Kind::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return Kind::kPermission;
    case EEXIST:
    case ENOTEMPTY:
      return Kind::kExists;
    case ENOSPC:
    case EDQUOT:
      return Kind::kNoSpace;
    case EMFILE:
    case ENFILE:
      return Kind::kLimit;
    case EBUSY:
    case EAGAIN:
    case ETXTBSY:
      return Kind::kBusy;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EPIPE:
      return Kind::kLink;
    case ETIMEDOUT:
      return Kind::kTimeout;
    default:
      return Kind::kIo;
  }
}

}  // namespace longhaul
