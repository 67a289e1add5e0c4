// TimedFiles: other Files, with the time that is spent in them told to a StageClock: what reads,
// what writes, what waits for the disk. Thread-safe as those are.
#pragma once

#include "lib/base/stage_clock.hpp"
#include "lib/store/files.hpp"

namespace longhaul::store {

class TimedFiles final : public Files {
 public:
  // stages outlives it and what it opened.
  TimedFiles(std::shared_ptr<Files> files, StageClock& stages)
      : files_(std::move(files)), stages_(&stages) {}

  Result<std::unique_ptr<File>> open(const TreeName& name, Access access) override;
  Result<std::unique_ptr<Folder>> open_folder(const TreeName& name) override;
  Result<FileStat> stat(const TreeName& name) override;
  Result<> make_folder(const TreeName& name) override;
  Result<> rename(const TreeName& from, const TreeName& to, Replace replace) override;
  Result<> link(const TreeName& from, const TreeName& to) override;
  Result<> reflink(const TreeName& from, const TreeName& to) override;
  Result<> remove(const TreeName& name) override;
  Result<> remove_folder(const TreeName& name) override;
  Result<> make_link(const std::string& target, const TreeName& name) override;
  Result<std::string> read_link(const TreeName& name) override;
  Result<> set_mode(const TreeName& name, std::uint32_t mode) override;
  Result<> set_attributes(const TreeName& name, std::uint32_t mode, WallTime mtime) override;
  Result<> sync_folder(const TreeName& name) override;
  Result<> sync_all() override;
  bool sync_all_reports() const override { return files_->sync_all_reports(); }
  Result<FreeSpace> free_space() override { return files_->free_space(); }
  Result<std::unique_ptr<FileLock>> lock(const TreeName& name) override {
    return files_->lock(name);
  }
  void pause(Duration span) override { files_->pause(span); }
  std::string boot_id() const override { return files_->boot_id(); }

 private:
  const std::shared_ptr<Files> files_;
  StageClock* const stages_;
};

}  // namespace longhaul::store
