#include "lib/store/timed_files.hpp"

#include <utility>

namespace longhaul::store {
namespace {

using Span = StageClock::Span;

class TimedFile final : public File {
 public:
  TimedFile(std::unique_ptr<File> file, StageClock* stages)
      : file_(std::move(file)), stages_(stages) {}
  Result<FileStat> stat() override { return file_->stat(); }
  Result<std::size_t> read_at(MutableBytes out, std::uint64_t offset) override {
    const Span span(stages_, WorkStage::kRead);
    return file_->read_at(out, offset);
  }
  Result<> write_at(Bytes bytes, std::uint64_t offset) override {
    const Span span(stages_, WorkStage::kWrite);
    return file_->write_at(bytes, offset);
  }
  Result<> resize(std::uint64_t size) override {
    const Span span(stages_, WorkStage::kWrite);
    return file_->resize(size);
  }
  Result<> sync() override {
    const Span span(stages_, WorkStage::kSync);
    return file_->sync();
  }
  Result<std::optional<Extent>> next_data(std::uint64_t offset) override {
    const Span span(stages_, WorkStage::kRead);
    return file_->next_data(offset);
  }

 private:
  const std::unique_ptr<File> file_;
  StageClock* const stages_;
};

class TimedFolder final : public Folder {
 public:
  TimedFolder(std::unique_ptr<Folder> folder, StageClock* stages)
      : folder_(std::move(folder)), stages_(stages) {}
  Result<std::vector<Found>> next(std::size_t most) override {
    const Span span(stages_, WorkStage::kRead);
    return folder_->next(most);
  }

 private:
  const std::unique_ptr<Folder> folder_;
  StageClock* const stages_;
};

}  // namespace

Result<std::unique_ptr<File>> TimedFiles::open(const TreeName& name, Access access) {
  const bool makes = access == Access::kCreate || access == Access::kOpenOrCreate;
  const Span span(stages_, makes ? WorkStage::kWrite : WorkStage::kRead);
  return std::make_unique<TimedFile>(TRY(files_->open(name, access)), stages_);
}

Result<std::unique_ptr<Folder>> TimedFiles::open_folder(const TreeName& name) {
  const Span span(stages_, WorkStage::kRead);
  return std::make_unique<TimedFolder>(TRY(files_->open_folder(name)), stages_);
}

Result<FileStat> TimedFiles::stat(const TreeName& name) {
  const Span span(stages_, WorkStage::kRead);
  return files_->stat(name);
}

Result<> TimedFiles::make_folder(const TreeName& name) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->make_folder(name);
}

Result<> TimedFiles::rename(const TreeName& from, const TreeName& to, Replace replace) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->rename(from, to, replace);
}

Result<> TimedFiles::link(const TreeName& from, const TreeName& to) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->link(from, to);
}

Result<> TimedFiles::reflink(const TreeName& from, const TreeName& to) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->reflink(from, to);
}

Result<> TimedFiles::remove(const TreeName& name) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->remove(name);
}

Result<> TimedFiles::remove_folder(const TreeName& name) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->remove_folder(name);
}

Result<> TimedFiles::make_link(const std::string& target, const TreeName& name) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->make_link(target, name);
}

Result<std::string> TimedFiles::read_link(const TreeName& name) {
  const Span span(stages_, WorkStage::kRead);
  return files_->read_link(name);
}

Result<> TimedFiles::set_mode(const TreeName& name, std::uint32_t mode) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->set_mode(name, mode);
}

Result<> TimedFiles::set_attributes(const TreeName& name, std::uint32_t mode, WallTime mtime) {
  const Span span(stages_, WorkStage::kWrite);
  return files_->set_attributes(name, mode, mtime);
}

Result<> TimedFiles::sync_folder(const TreeName& name) {
  const Span span(stages_, WorkStage::kSync);
  return files_->sync_folder(name);
}

Result<> TimedFiles::sync_all() {
  const Span span(stages_, WorkStage::kSync);
  return files_->sync_all();
}

}  // namespace longhaul::store
