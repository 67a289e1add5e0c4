// Mirror: a run's history on the laptop's disk: the History messages as they came, appended and
// framed, so that an outage, a kill or a reboot costs no byte of it twice. One process at a time
// appends; others read what is there.
//
//   FOLDER/history: frames of length u32, CRC-32C u32 of length and body, body: a History message
//
// A torn end is cut off; a gap is never written: append() refuses what does not follow. Blocks on
// the disk: for jobs, one at a time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lib/store/files.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::feed {

class Mirror {
 public:
  // Makes the folder. `files` outlives it. Read it to the end before anything is appended.
  static Result<std::unique_ptr<Mirror>> open(store::Files& files, store::TreeName folder);

  // The next message; nothing: the end.
  Result<std::optional<wire::History>> next();
  // Up to where each attempt is here, once all was read.
  std::vector<wire::LogPlace> have() const;
  // False: another process appends, and what comes stays in memory only.
  bool appends() const { return lock_ != nullptr && !failed_; }
  // Durable by the system's own pace: what a power cut takes is sent again. After an error nothing
  // more is written.
  Result<> append(const wire::History& message);

 private:
  Mirror(std::unique_ptr<store::File> file, std::unique_ptr<store::FileLock> lock)
      : lock_(std::move(lock)), file_(std::move(file)) {}
  void note(const wire::History& message);

  std::unique_ptr<store::FileLock> lock_;
  std::unique_ptr<store::File> file_;
  std::map<std::uint32_t, wire::LogPlace> places_;
  std::uint64_t end_ = 0;  // of what is whole
  ByteVector ahead_;       // read, from end_ - used_ on
  std::size_t used_ = 0;
  bool failed_ = false;
  bool cut_ = false;  // nothing stands behind end_
};

}  // namespace longhaul::feed
