// CheckpointFiles: a checkpoint's folder as it goes home, read-only. In the form `weights` its
// safetensors files are rounded to bf16 as they are read and what is no weights is left out; in the
// form `full` everything is as it stands.
//
// Every file is open from the start, so that what the training program deletes meanwhile still
// arrives; one that changes is told as kChanged by whoever compares stat() with what rows() saw.
// Made and used in jobs, by several at once.
//
//   auto files = TRY(CheckpointFiles::open(site_files, folder, Form::kWeights));
//   for (const auto& row : files->rows()) source->rows.push_back(row);  // not hashed; below the
//   folder source->files = files;
#pragma once

#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/checkpoint/bf16.hpp"
#include "lib/store/files.hpp"
#include "lib/transfer/rows.hpp"

namespace longhaul::checkpoint {

constexpr std::size_t kCheckpointNamesMax = 1024;  // of one checkpoint

enum class Form : std::uint8_t { kWeights, kFull };

// A file in a checkpoint's folder that says: on its way home, not to be deleted. It is the site's,
// and no part of the checkpoint.
constexpr std::string_view kPendingHome = "pending-home";
constexpr std::string_view kMarkUnfinished = "pending-home.new";  // by store::write_whole()
bool is_of_mark(const store::TreeName& name);                     // either

class CheckpointFiles final : public store::Files {
 public:
  // kLimit: too many names; kNotFound: no such folder, or no file that goes home.
  static Result<std::shared_ptr<CheckpointFiles>> open(store::Files& files,
                                                       const store::TreeName& folder, Form form);
  const std::vector<transfer::Row>& rows() const { return rows_; }

  Result<std::unique_ptr<store::File>> open(const store::TreeName& name,
                                            store::Access access) override;
  Result<store::FileStat> stat(const store::TreeName& name) override;

  // Nothing else is offered here.
  Result<std::unique_ptr<store::Folder>> open_folder(const store::TreeName&) override;
  Result<> make_folder(const store::TreeName&) override;
  Result<> rename(const store::TreeName&, const store::TreeName&, store::Replace) override;
  Result<> link(const store::TreeName&, const store::TreeName&) override;
  Result<> reflink(const store::TreeName&, const store::TreeName&) override;
  Result<> remove(const store::TreeName&) override;
  Result<> remove_folder(const store::TreeName&) override;
  Result<> make_link(const std::string&, const store::TreeName&) override;
  Result<std::string> read_link(const store::TreeName&) override;
  Result<> set_mode(const store::TreeName&, std::uint32_t) override;
  Result<> set_attributes(const store::TreeName&, std::uint32_t, WallTime) override;
  Result<> sync_folder(const store::TreeName&) override;
  Result<> sync_all() override;
  bool sync_all_reports() const override { return false; }
  Result<store::FreeSpace> free_space() override;
  Result<std::unique_ptr<store::FileLock>> lock(const store::TreeName&) override;
  void pause(Duration) override {}
  std::string boot_id() const override { return {}; }

 private:
  struct Member {
    std::shared_ptr<store::File> file;
    std::shared_ptr<const Bf16Layout> rounded;  // null: as it stands
  };
  Result<> add(store::Files& files, const store::TreeName& folder, Form form, transfer::Row row);

  std::map<store::TreeName, Member> members_;
  std::vector<transfer::Row> rows_;
};

}  // namespace longhaul::checkpoint
