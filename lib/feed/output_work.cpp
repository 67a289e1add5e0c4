#include "lib/feed/output_work.hpp"

#include <algorithm>

#include "lib/feed/run_files.hpp"

namespace longhaul::feed {

store::TreeName output_name(const store::TreeName& folder) {
  const auto name = folder.child("output");
  ASSERT(name.has_value());  // a short component below a judged folder
  return *name;
}

void OutputWork::run() {
  if (auto done = read(); !done) error = done.error();
}

Result<> OutputWork::read() {
  const auto file = TRY(files_.open(name_, store::Access::kRead));
  size = TRY(file->stat()).size;
  if (std::exchange(place.from_end, false)) place.offset = size - std::min(size, place.offset);
  begin = place.offset;
  if (size < place.offset)
    return fail(Kind::kChanged, "read the run's output", "it was begun anew");
  bytes = TRY(read_part(*file, place.offset, wire::kOutputPartMax));
  place.offset += bytes.size();
  return {};
}

}  // namespace longhaul::feed
