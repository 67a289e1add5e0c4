// PosixFiles: store::Files on the disks of this machine. Every name is resolved by Beneath: no link
// is followed, nothing above the root is reachable. Thread-safe: it holds one descriptor and what
// it learned of the disk.
//
// After a sync has failed, every later sync_all() fails too: the kernel reports a lost write once,
// to whoever asks first, and a second caller must not take its own "ok" for durable.
#pragma once

#include <atomic>

#include "lib/io/beneath.hpp"
#include "lib/store/files.hpp"

namespace longhaul::io {

class PosixFiles final : public store::Files {
 public:
  static Result<std::unique_ptr<PosixFiles>> at(const std::string& folder,
                                                Resolve resolve = Resolve::kByKernel);

  Result<std::unique_ptr<store::File>> open(const store::TreeName& name,
                                            store::Access access) override;
  Result<std::unique_ptr<store::Folder>> open_folder(const store::TreeName& name) override;
  Result<store::FileStat> stat(const store::TreeName& name) override;
  Result<> make_folder(const store::TreeName& name) override;
  Result<> rename(const store::TreeName& from, const store::TreeName& to,
                  store::Replace replace) override;
  Result<> link(const store::TreeName& from, const store::TreeName& to) override;
  Result<> reflink(const store::TreeName& from, const store::TreeName& to) override;
  Result<> remove(const store::TreeName& name) override;
  Result<> remove_folder(const store::TreeName& name) override;
  Result<> make_link(const std::string& target, const store::TreeName& name) override;
  Result<std::string> read_link(const store::TreeName& name) override;
  Result<> set_mode(const store::TreeName& name, std::uint32_t mode) override;
  Result<> set_attributes(const store::TreeName& name, std::uint32_t mode, WallTime mtime) override;
  Result<> sync_folder(const store::TreeName& name) override;
  Result<> sync_all() override;
  bool sync_all_reports() const override { return sync_all_reports_; }
  Result<store::FreeSpace> free_space() override;
  Result<std::unique_ptr<store::FileLock>> lock(const store::TreeName& name) override;
  // The same, and nowhere else; kUnsupported where the file system has no locks.
  Result<std::unique_ptr<store::FileLock>> lock_here(const store::TreeName& name);
  // Where it has none, lock() takes them in that folder, by this prefix and the name: such a lock
  // is seen by processes of this host alone. Before anybody locks.
  void set_lock_folder(std::shared_ptr<PosixFiles> folder, std::string prefix);
  void pause(Duration span) override;
  std::string boot_id() const override { return boot_id_; }

  Resolve resolve() const { return beneath_.resolve(); }

 private:
  PosixFiles(Beneath beneath, bool sync_all_reports, std::string boot_id)
      : beneath_(std::move(beneath)),
        sync_all_reports_(sync_all_reports),
        boot_id_(std::move(boot_id)) {}
  Result<Fd> open_to_change(const store::TreeName& name, const char* attempt) const;
  Beneath beneath_;
  const bool sync_all_reports_;
  const std::string boot_id_;
  std::atomic<bool> sync_failed_{false};
  std::atomic<bool> no_reflinks_{false};  // one was refused
  std::shared_ptr<PosixFiles> lock_folder_;
  std::string lock_prefix_;
};

}  // namespace longhaul::io
