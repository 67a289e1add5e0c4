// What CrashFiles hands out. Not for others.
#pragma once

#include <algorithm>

#include "tests/sim/crash_files.hpp"

namespace longhaul::sim {

constexpr std::size_t kHoleBlock = 4096;

inline bool is_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

class CrashFiles::OpenFile final : public store::File {
 public:
  OpenFile(CrashFiles& disk, NodeNo node) : disk_(disk), node_(node) { ++disk_.open_files_; }
  ~OpenFile() override { --disk_.open_files_; }
  Result<store::FileStat> stat() override {
    const std::lock_guard lock(disk_.mutex_);
    TRY(disk_.admit("stat"));
    return disk_.stat_of(node_);
  }
  Result<std::size_t> read_at(MutableBytes out, std::uint64_t offset) override {
    const std::lock_guard lock(disk_.mutex_);
    TRY(disk_.admit("read"));
    const ByteVector& content = disk_.nodes_[node_].seen.content;
    if (offset >= content.size()) return std::size_t{0};
    const Bytes from = Bytes(content).subspan(static_cast<std::size_t>(offset));
    const std::size_t count = std::min(out.size(), from.size());
    std::copy_n(from.begin(), count, out.begin());
    disk_.read_bytes_ += count;
    return count;
  }
  Result<> write_at(Bytes bytes, std::uint64_t offset) override {
    const std::lock_guard lock(disk_.mutex_);
    return disk_.write_node(node_, bytes, offset);
  }
  Result<> resize(std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    return disk_.resize_node(node_, size);
  }
  Result<> sync() override {
    const std::lock_guard lock(disk_.mutex_);
    return disk_.sync_node(node_);
  }
  Result<std::optional<store::Extent>> next_data(std::uint64_t offset) override {
    const std::lock_guard lock(disk_.mutex_);
    TRY(disk_.admit("find data"));
    const Bytes content = disk_.nodes_[node_].seen.content;
    std::optional<store::Extent> data;
    for (auto at = static_cast<std::size_t>(offset); at < content.size();) {
      const std::size_t end = std::min((at / kHoleBlock + 1) * kHoleBlock, content.size());
      const bool hole = is_zero(content.subspan(at, end - at));
      if (hole && data) break;
      if (!hole && !data) data = store::Extent{at, 0};
      if (!hole) data->length = end - data->offset;
      at = end;
    }
    return data;
  }

 private:
  CrashFiles& disk_;
  const NodeNo node_;
};

class CrashFiles::OpenFolder final : public store::Folder {
 public:
  OpenFolder(CrashFiles& disk, std::vector<store::Found> found)
      : disk_(disk), found_(std::move(found)) {}
  Result<std::vector<store::Found>> next(std::size_t most) override {
    const std::lock_guard lock(disk_.mutex_);
    TRY(disk_.admit("list"));
    const std::size_t count = std::min(most, found_.size() - at_);
    const auto first = found_.begin() + static_cast<std::ptrdiff_t>(at_);
    at_ += count;
    return std::vector<store::Found>(first, first + static_cast<std::ptrdiff_t>(count));
  }

 private:
  CrashFiles& disk_;
  std::vector<store::Found> found_;
  std::size_t at_ = 0;
};

class CrashFiles::HeldLock final : public store::FileLock {
 public:
  HeldLock(CrashFiles& disk, std::string name)
      : disk_(disk), name_(std::move(name)), boot_(disk.boot_) {}
  ~HeldLock() override {
    const std::lock_guard lock(disk_.mutex_);
    if (disk_.boot_ == boot_) disk_.locks_.erase(name_);
  }

 private:
  CrashFiles& disk_;
  const std::string name_;
  const std::uint64_t boot_;
};

}  // namespace longhaul::sim
