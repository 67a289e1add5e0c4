// Error: what went wrong that was nobody's bug. One closed list of kinds for the whole product; it
// is also the table of exit codes (lib/cli/exit_code.hpp). A core's finer reasons are that core's
// own enum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longhaul {

enum class Kind : std::uint8_t {
  kIo,           // the operating system refused; `os` has its errno
  kNoSpace,      // disk or quota full
  kPermission,   // not allowed by the operating system
  kExists,       // already there
  kBusy,         // locked or in use by somebody else
  kChanged,      // a source changed while it was read
  kUsage,        // the caller asked for nonsense
  kNotFound,     // no such file, site, dataset, version
  kAuth,         // not paired, wrong key, role too small
  kLink,         // the link failed; may be retried
  kTimeout,      // a peer did not answer in time
  kIntegrity,    // bytes do not match their hash
  kMalformed,    // a peer or a file broke the format
  kLimit,        // a named maximum was exceeded
  kUnsupported,  // version or capability we do not have
  kPartial,      // some of it was done
  kInterrupted,  // the user stopped it
};

// "io", "no-space", ..: stable words for JSON and logs.
std::string_view name_of(Kind kind);

class Error {
 public:
  Error() = default;
  // attempt: what was being done, in the infinitive's place: "open /data/a". Text from a peer in it
  // must have gone through printable() (escape.hpp). os: errno or 0.
  Error(Kind kind, std::string attempt, int os = 0)
      : kind_(kind), os_(os), attempt_(std::move(attempt)) {}
  Error(Kind kind, std::string attempt, std::string why)
      : kind_(kind), attempt_(std::move(attempt)), why_(std::move(why)) {}

  Kind kind() const { return kind_; }
  int os() const { return os_; }
  const std::string& attempt() const { return attempt_; }
  const std::string& why() const { return why_; }
  // What the user can do about it, where the place that failed knows better than
  // lib/cli/explain.hpp.
  Error&& advise(std::string advice) && {
    advice_ = std::move(advice);
    return std::move(*this);
  }
  const std::string& advice() const { return advice_; }
  // "open /data/a: no such file or directory"
  std::string message() const;

  // Kind of an errno, for what every file or socket call may return.
  static Kind kind_of_errno(int os);

 private:
  Kind kind_ = Kind::kIo;
  int os_ = 0;
  std::string attempt_;
  std::string why_;
  std::string advice_;
};

}  // namespace longhaul
