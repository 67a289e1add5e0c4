// RunFolder: where an attempt finds and puts its files. Blocks on the disk: before training starts
// and on the writer's thread only.
//
//   FOLDER/log/000001.run    the run log of attempt 1 (docs/run.md)
//   FOLDER/control/ID.cmd    a command that waits to be carried out
//   SHARED/longhaul-UID-HASH-1   the shared log of attempt 1, on the host it runs on
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/run/command.hpp"
#include "lib/run/drain.hpp"

namespace longhaul::client {

class LogFile {  // appends whole frames; a handle
 public:
  LogFile(int fd, std::uint64_t end) : fd_(fd), end_(end) {}
  ~LogFile();
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&&) = delete;
  // All of the frame, or an error and nothing of it that a reader would take for whole.
  Result<> append(Bytes frame);
  Result<> sync();

 private:
  int fd_;
  std::uint64_t end_;
};

// What the logs of the attempts so far say.
struct Past {
  std::uint32_t attempts = 0;
  run::ControlBook controls;
  std::vector<std::uint32_t> at_work;  // on this host, so that their rings could not be taken
};

// $LONGHAUL_SHM unless `named`; else /dev/shm.
std::string shared_folder(const std::string& named);

class RunFolder {
 public:
  // Makes FOLDER, FOLDER/log and FOLDER/control where they are missing.
  static Result<RunFolder> open(const std::string& folder, const std::string& shared);

  // The same, of a folder that is there; makes nothing.
  static Result<RunFolder> find(const std::string& folder, const std::string& shared);

  Result<Past> past() const;
  // Brings into their logs what attempts that died on this host left in their shared logs. Those
  // of which a process lives.
  std::vector<std::uint32_t> rescue() const;
  // Of one of them; how many records those were. kBusy while its process, or one that it forked,
  // lives. kExists: the log is of a run that was begun anew under this name; nothing was touched.
  Result<std::uint64_t> rescue(std::uint32_t attempt) const;
  // The next attempt's log, by exclusive create: two callers get two numbers.
  Result<std::uint32_t> begin_attempt(std::uint32_t after) const;
  Result<LogFile> open_log(std::uint32_t attempt, std::uint64_t end) const;
  bool has_attempt(std::uint32_t attempt) const;
  std::string shared_path(std::uint32_t attempt) const;
  const std::string& path() const { return folder_; }  // without symbolic links
  // Commands that wait, in the order of their ids. Files that are none are left alone.
  std::vector<run::Command> commands() const;
  void forget_command(std::uint64_t id) const;

 private:
  RunFolder(std::string folder, std::string shared)
      : folder_(std::move(folder)), shared_(std::move(shared)) {}
  std::string log_path(std::uint32_t attempt) const;

  std::string folder_;
  std::string shared_;  // SHARED/longhaul-UID-HASH-
};

}  // namespace longhaul::client
