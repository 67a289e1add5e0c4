#include "lib/feed/run_files.hpp"

#include <fmt/format.h>

namespace longhaul::feed {

Result<store::TreeName> run_folder(std::string_view name) {
  const auto parsed = store::TreeName::parse(name);
  if (!parsed || parsed->depth() > kRunDepthMax || name.size() > wire::kRunNameMax) {
    return fail(Error(Kind::kUsage, "find a run", "no run can have this name")
                    .advise("`longhaul runs SITE` lists those that there are"));
  }
  return parsed->under(store::TreeName::known("runs"));
}

void drop_impossible(std::vector<wire::RunLine>& lines) {
  std::erase_if(lines, [](const wire::RunLine& line) { return !run_folder(line.name); });
}

store::TreeName log_name(const store::TreeName& folder, std::uint32_t attempt) {
  // Short components below a judged folder: it cannot fail but by the depth, which is bounded
  // above.
  const auto log = folder.child("log");
  ASSERT(log.has_value());
  const auto name = log->child(fmt::format("{:06}.run", attempt));
  ASSERT(name.has_value());
  return *name;
}

std::uint32_t newest_attempt(store::Files& files, const store::TreeName& folder,
                             std::uint32_t from) {
  std::uint32_t newest = from;
  while (newest < kAttemptsMax && files.stat(log_name(folder, newest + 1)).has_value()) ++newest;
  return newest;
}

Result<ByteVector> read_part(store::File& file, std::uint64_t offset, std::size_t most) {
  ByteVector bytes(most);
  const std::size_t got = TRY(file.read_at(bytes, offset));
  bytes.resize(got);
  return bytes;
}

}  // namespace longhaul::feed
