#include "tools/netsim/files.hpp"

#include <cerrno>
#include <fstream>
#include <sstream>

#include "netsim/trace.hpp"

namespace netsim::tool {

using longhaul::fail;
using longhaul::Kind;

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return longhaul::fail_errno("open " + path, errno);
  std::ostringstream text;
  text << file.rdbuf();
  if (text.str().size() > kLinkJsonMax)
    return fail(Kind::kUsage, "read " + path, "it is too large");
  return text.str();
}

Result<Profile> find_profile(const std::string& argument) {
  if (!is_profile_file(argument)) return built_in_profile(argument);
  const std::string text = TRY(read_file(argument));
  auto profile = profile_from_json(text, trace_files());
  if (!profile) return fail(named(argument, profile.error()));
  return profile;
}

longhaul::Error named(const std::string& path, const longhaul::Error& error) {
  return {error.kind(), "read " + path, error.message()};
}

TraceFiles trace_files() {
  TraceFiles out;
  out.rate = [](std::string_view path) -> Result<TraceRate> {
    const std::string text = TRY(read_file(std::string(path)));
    auto trace = read_trace(text);
    if (!trace) return fail(named(std::string(path), trace.error()));
    return trace;
  };
  out.loss = [](std::string_view path) -> Result<TraceLoss> {
    const std::string text = TRY(read_file(std::string(path)));
    TraceLoss trace;
    for (const char c : text) {
      if (c == '0' || c == '1') trace.lost.push_back(c == '1' ? 1 : 0);
      if (std::string_view("01 \t\r\n").find(c) == std::string_view::npos)
        return fail(Kind::kUsage, "read " + std::string(path), "only 0, 1 and blanks are expected");
    }
    if (trace.lost.empty()) return fail(Kind::kUsage, "read " + std::string(path), "it is empty");
    return trace;
  };
  return out;
}

Result<ReportFile> ReportFile::open(const std::string& path) {
  ReportFile out;
  if (path.empty()) return out;
  out.path_ = path;
  out.file_.open(path, std::ios::binary | std::ios::trunc);
  if (!out.file_) return longhaul::fail_errno("create " + path, errno);
  return out;
}

Result<> ReportFile::write(const std::string& report) {
  file_ << report << '\n';
  if (!file_.flush()) return longhaul::fail_errno("write " + path_, errno);
  return {};
}

}  // namespace netsim::tool
