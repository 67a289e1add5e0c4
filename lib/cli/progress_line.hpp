// The one live line of a transfer: share, rate, time left, what was saved, and what limits it. On a
// terminal it is redrawn in place a few times a second; elsewhere a plain line now and then. Pure:
// the caller has the clock, the terminal's width and stderr.
//
//   push corpus  43% 1.2 GB of 2.8 GB  11.9 MB/s  2m14s left  310.0 MB were there  compressed 31%
//   limit: link  over UDP
#pragma once

#include <optional>
#include <string>

#include "lib/base/units.hpp"

namespace longhaul::cli {

struct ProgressView {
  std::string title;      // "push corpus"
  ByteCount done, total;  // of the source's bytes; total 0: not known yet
  std::uint64_t files_done = 0, files_total = 0;
  BytesPerSecond rate;           // source bytes, recent
  std::optional<Duration> left;  // nullopt: not known
  ByteCount present;             // of `done`: were there already
  ByteCount raw, on_wire;        // content that crossed the link so far, and what it became
  std::string limit;             // "link", "disk"
  std::string waiting;           // "no link for 12.0 s"; instead of a limit, and never left out
  std::string path;              // "UDP", "TLS, UDP is not answered"; empty: not known
};

// At most `width` columns, never cut in the middle of a number: the least important parts go first.
std::string render(const ProgressView& view, unsigned width);

class ProgressLine {
 public:
  ProgressLine(bool terminal, unsigned width) : terminal_(terminal), width_(width) {}
  // What to write to stderr now; empty when it is too soon. At most 8 a second on a terminal, else
  // every 5 s.
  std::string update(Time now, const ProgressView& view);
  // Ends the line: the last view, and a newline.
  std::string finish(const ProgressView& view);

 private:
  bool terminal_;
  unsigned width_;
  std::optional<Time> last_;
};

}  // namespace longhaul::cli
