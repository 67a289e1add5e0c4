#include "lib/cli/verify_report.hpp"

#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/human.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/cli/sum_line.hpp"

namespace longhaul::cli {

void VerifyReport::bad(std::string_view name, std::string_view why, bool beside_sums) {
  if (json_) {
    JsonLine line;
    line.add("event", "bad").add("name", name).add("why", why);
    console_.out(line.text() + "\n");
    return;
  }
  const std::string text = printable(name) + ": " + printable(why) + "\n";
  beside_sums ? console_.err(text) : console_.out(text);
}

void VerifyReport::sum(std::string_view name, std::string_view hex) {
  if (json_) {
    JsonLine line;
    line.add("event", "sum").add("name", name).add("sha256", hex);
    console_.out(line.text() + "\n");
  } else {
    console_.out(sum_line(hex, console_.out_is_terminal() ? printable(name) : std::string(name)));
  }
}

void VerifyReport::done(std::uint64_t files, std::uint64_t bytes, std::uint64_t bad) {
  if (json_) {
    JsonLine line;
    line.add("event", "done").add("files", files).add("bytes", bytes).add("bad", bad);
    console_.out(line.text() + "\n");
    return;
  }
  console_.err(fmt::format("{} files, {} re-read: {}\n", files, human(ByteCount(bytes)),
                           bad == 0 ? "all good" : fmt::format("{} bad", bad)));
}

void VerifyReport::rebuilt(std::uint64_t files, std::uint64_t bad) {
  if (json_) {
    JsonLine line;
    line.add("event", "rebuilt").add("files", files).add("bad", bad);
    console_.out(line.text() + "\n");
    return;
  }
  console_.err(fmt::format("the index is rebuilt from what {} files are made of{}\n", files,
                           bad == 0 ? "" : fmt::format("; {} manifests cannot be read", bad)));
}

}  // namespace longhaul::cli
