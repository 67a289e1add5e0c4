// OutputWork: reads the next part of what a run's program printed: FOLDER/output, which whoever
// starts the program lets it write. A job; handed out again with the place it ends at.
#pragma once

#include <optional>

#include "lib/base/job.hpp"
#include "lib/store/files.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::feed {

store::TreeName output_name(const store::TreeName& folder);

struct OutputPlace {
  std::uint64_t offset = 0;
  bool from_end = false;  // offset counts back from the end; settled by the first look
};

class OutputWork final : public Work {
 public:
  // `files` outlives it.
  OutputWork(store::Files& files, const store::TreeName& folder, OutputPlace from)
      : place(from), files_(files), name_(output_name(folder)) {}
  void run() override;

  OutputPlace place;  // behind what was read
  ByteVector bytes;
  std::uint64_t begin = 0, size = 0;  // where they stand, and the file's length
  std::optional<Error> error;         // kChanged: it is shorter than `place`

 private:
  Result<> read();
  store::Files& files_;
  const store::TreeName name_;
};

}  // namespace longhaul::feed
