// EventFolder: a run's history as TensorBoard event files in a folder of the user's: written from
// the complete history, in the order of the log, so that steps rise per tag but where an attempt
// resumed (then TensorBoard drops what it abandoned, as it does for its own files). Resumable: the
// file `longhaul.places` says how far each attempt is in which file; what a crash left behind that
// is cut off. `longhaul.run` says whose history it is: no other is written there. Blocks on the
// disk, in the page cache only: small appends.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "lib/feed/viewer.hpp"
#include "lib/io/posix_files.hpp"

namespace longhaul::proxy {

class EventFolder {
 public:
  // Makes the folder. run: SITE/RUN. kBusy: another process writes there. kExists: it is another
  // run's. kIntegrity: its file was cut short by somebody.
  static Result<std::unique_ptr<EventFolder>> open(const std::string& folder,
                                                   const std::string& run);
  // The next stretch of an attempt; what is there already is passed over, but its names are learnt.
  // kExists: these are the files of another run of that name.
  Result<> take(const feed::Took& took);
  Result<> sync();  // what was taken is there after a crash, and not written again

 private:
  EventFolder(std::unique_ptr<io::PosixFiles> files, std::unique_ptr<store::FileLock> lock,
              std::string folder, std::string run)
      : files_(std::move(files)),
        lock_(std::move(lock)),
        folder_(std::move(folder)),
        run_(std::move(run)) {}
  Result<> load_owner();
  Error other_run(std::string why) const;
  Result<> load();
  Result<> begin(const feed::Took& took);
  Result<> write();

  std::unique_ptr<io::PosixFiles> files_;
  std::unique_ptr<store::FileLock> lock_;
  const std::string folder_, run_;
  std::unique_ptr<store::File> file_;
  std::map<std::uint32_t, WallTime> began_;  // of each attempt
  std::string name_;
  std::uint64_t end_ = 0;
  ByteVector waiting_;
  std::map<std::uint32_t, std::uint64_t> next_;  // of each attempt: the record that comes next
  std::map<std::pair<std::uint32_t, run::SeriesId>, std::string> names_;
  std::uint32_t attempt_ = 0;  // whose points were written last
  bool changed_ = false;
};

}  // namespace longhaul::proxy
