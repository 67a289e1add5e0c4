#include "lib/feed/mirror.hpp"

#include "lib/feed/run_files.hpp"
#include "lib/run/crc32c.hpp"

namespace longhaul::feed {
namespace {

constexpr std::size_t kMirrorHeadBytes = 8;
constexpr std::size_t kBodyMax = 4U << 20;
constexpr std::size_t kMirrorReadBytes = kMirrorHeadBytes + kBodyMax;

std::uint32_t check_of(Bytes length, Bytes body) {
  return run::crc32c(body, run::crc32c(length));
}

}  // namespace

Result<std::unique_ptr<Mirror>> Mirror::open(store::Files& files, store::TreeName folder) {
  TRY(store::make_folders(files, folder));
  const auto name = TRY(folder.child("history"));
  auto lock = files.lock(TRY(folder.child("lock")));
  if (!lock && lock.error().kind() != Kind::kBusy) return fail(lock.error());
  const auto access = lock ? store::Access::kOpenOrCreate : store::Access::kRead;
  auto file = files.open(name, access);
  if (!file && file.error().kind() == Kind::kNotFound)  // the other process has only begun
    return std::unique_ptr<Mirror>(new Mirror(nullptr, nullptr));
  if (!file) return fail(file.error());
  return std::unique_ptr<Mirror>(
      new Mirror(*std::move(file), lock ? *std::move(lock) : std::unique_ptr<store::FileLock>()));
}

void Mirror::note(const wire::History& message) {
  places_[message.attempt] = {message.attempt, message.next, message.offset};
}

Result<std::optional<wire::History>> Mirror::next() {
  if (file_ == nullptr) return std::optional<wire::History>();
  const auto whole = [this]() -> std::optional<std::size_t> {
    const Bytes bytes = Bytes(ahead_).subspan(used_);
    if (bytes.size() < kMirrorHeadBytes) return std::nullopt;
    const std::size_t size = kMirrorHeadBytes + load_le<std::uint32_t>(bytes);
    return bytes.size() < size ? std::nullopt : std::optional(size);
  };
  if (!whole()) {
    ahead_ = TRY(read_part(*file_, end_, kMirrorReadBytes));
    used_ = 0;
  }
  const auto size = whole();
  if (!size) return std::optional<wire::History>();
  const Bytes bytes = Bytes(ahead_).subspan(used_, *size);
  const Bytes body = bytes.subspan(kMirrorHeadBytes);
  if (load_le<std::uint32_t>(bytes.subspan(4)) != check_of(bytes.first(4), body))
    return std::optional<wire::History>();  // torn; what follows is asked for again
  auto message = wire::decode<wire::History>(Slice::copy_of(body));
  if (!message) return std::optional<wire::History>();
  used_ += *size;
  end_ += *size;
  note(*message);
  return std::optional(*std::move(message));
}

std::vector<wire::LogPlace> Mirror::have() const {
  std::vector<wire::LogPlace> have;
  for (const auto& [attempt, place] : places_) have.push_back(place);
  return have;
}

Result<> Mirror::append(const wire::History& message) {
  if (!appends()) return {};
  const auto known = places_.find(message.attempt);
  const std::uint64_t here = known == places_.end() ? 0 : known->second.next;
  if (message.after != here)
    return fail(Kind::kIntegrity, "keep a run's history", "it does not follow what is here");
  if (known == places_.end() && places_.size() >= kAttemptsHeldMax)
    return fail(Kind::kLimit, "keep a run's history", "it has too many attempts");
  wire::History kept = message;
  kept.watch = wire::WatchId();
  const ByteVector body = wire::encode(kept);
  ByteVector frame(kMirrorHeadBytes);
  store_le(MutableBytes(frame), static_cast<std::uint32_t>(body.size()));
  store_le(MutableBytes(frame).subspan(4), check_of(Bytes(frame).first(4), body));
  longhaul::append(frame, body);
  failed_ = true;  // until all of it stands there
  // What is torn or rotted is cut off, and all behind it: else what is written over it could end
  // where an older frame begins, and that one would be read as what follows.
  if (!std::exchange(cut_, true)) TRY(file_->resize(end_));
  TRY(file_->write_at(frame, end_));
  end_ += frame.size();
  note(message);
  failed_ = false;
  return {};
}

}  // namespace longhaul::feed
