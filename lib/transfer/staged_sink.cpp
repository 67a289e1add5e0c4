#include "lib/transfer/staged_sink.hpp"

#include <algorithm>

namespace longhaul::transfer {

using store::TreeName;

namespace {
// Room that a file system wants for names, journals and what else is written there meanwhile.
constexpr std::uint64_t kSpareBytes = 16U << 20;
constexpr Duration kLockPause = 100ms;
constexpr int kLockTries = 60;
}  // namespace

TreeName staging_folder(std::string_view what) {
  const crypto::Digest digest = crypto::sha256(what);
  return TreeName::known(".longhaul/staging/" + digest.hex().substr(0, 32));
}

StagedSink::StagedSink(std::shared_ptr<store::Files> files, TreeName staging)
    : files_(std::move(files)), staging_name_(std::move(staging)) {}

Result<Sink::Opened> StagedSink::open(const wire::Offer& offer) {
  TRY(store::make_folders(*files_, staging_name_.parent()));
  const TreeName lock = store::staging_lock(staging_name_);
  auto locked = files_->lock(lock);
  // The transfer before this one may just be ending: its process was killed, or it is giving up.
  for (int waited = 0; waited < kLockTries && !locked && locked.error().kind() == Kind::kBusy;
       ++waited) {
    files_->pause(kLockPause);
    // Its folder may have gone with the last transfer.
    TRY(store::make_folders(*files_, staging_name_.parent()));
    locked = files_->lock(lock);
  }
  if (!locked && locked.error().kind() == Kind::kBusy)
    return fail(Error(Kind::kBusy, "receive the tree", "another transfer writes there")
                    .advise("try again when it has ended"));
  lock_ = TRY(std::move(locked));
  Opened opened = TRY(prepare(offer));
  if (opened.existing) return opened;
  staging_ = TRY(store::Staging::open(*files_, staging_name_));
  free_bytes_ = TRY(files_->free_space()).bytes;
  // What surely does not fit is told before its first byte; the rest as the manifest names it.
  const std::uint64_t here = staging_->held_bytes() + may_stay();
  TRY(check_room(offer.bytes - std::min(offer.bytes, here)));
  return opened;
}

Result<> StagedSink::check_room(std::uint64_t bytes) const {
  const std::uint64_t needed = bytes + std::min(kSpareBytes, ~bytes);
  if (needed <= free_bytes_) return {};
  return fail(Kind::kNoSpace, "receive the tree",
              "it needs " + std::to_string(needed >> 20) + " MiB and " +
                  std::to_string(free_bytes_ >> 20) + " MiB are free there");
}

Result<> StagedSink::begin_attempt(const wire::Offer&) {
  reserved_bytes_ = 0;
  return {};
}

Result<store::FileNo> StagedSink::add_file(const store::Entry& entry) {
  if (entry.name.is_within(TreeName::known(".longhaul")))
    return fail(Kind::kMalformed, "receive " + entry.name.shown(),
                "that name is kept for longhaul itself");
  return staging_->add_file(entry.name, entry.size);
}

Presence StagedSink::presence(const store::StagedChunk& place) {
  if (staging_->holds(place)) return Presence::kHeld;
  return find_local(place.chunk) ? Presence::kLocal : Presence::kMissing;
}

Result<> StagedSink::reserve(std::uint64_t bytes) {
  return check_room(reserved_bytes_ += bytes);
}

Result<> StagedSink::write(std::span<const store::StagedWrite> writes) {
  return staging_->write(writes);
}

Result<> StagedSink::sync() {
  // Nothing is staged any more: a publish that failed at its very end had synced and cleared it.
  return staging_ ? staging_->sync() : Result<>();
}

Result<ByteVector> StagedSink::read_checked(const LocalPlace& from, std::uint32_t length,
                                            const store::ChunkId& chunk) {
  auto file = TRY(files_->open(from.name, store::Access::kRead));
  ByteVector bytes(length);
  const std::size_t got = TRY(file->read_at(bytes, from.offset));
  if (got != length || crypto::sha256(bytes) != chunk)
    return fail(Kind::kIntegrity, "copy from " + from.name.shown(),
                "its bytes are not those of its record");
  return bytes;
}

Result<> StagedSink::copy_here(const store::StagedChunk& to, std::optional<StagedPlace> from) {
  std::optional<LocalPlace> place;
  if (from)
    place = LocalPlace{staging_->name_of(from->file).under(staging_->tree()), from->offset};
  else
    place = find_local(to.chunk);
  if (!place) return fail(Kind::kNotFound, "copy a chunk", "it is not here any more");
  const ByteVector bytes = TRY(read_checked(*place, to.length, to.chunk));
  const store::StagedWrite write{to, bytes};
  return staging_->write({&write, 1});
}

Result<> StagedSink::check_staged(const store::Entry& entry, std::span<const store::Piece> pieces) {
  const auto no = staging_->find(entry.name);
  const auto content =
      no ? staging_->content(*no, entry.size, pieces) : store::Staging::Content::kMissing;
  if (content == store::Staging::Content::kWhole) return staging_->make(*no);
  bool right = content == store::Staging::Content::kResumed;
  std::uint64_t offset = 0;
  const TreeName name = entry.name.under(staging_->tree());
  for (auto piece = pieces.begin(); right && piece != pieces.end(); offset += (piece++)->length) {
    if (piece->hole) continue;
    const auto bytes =
        read_checked({name, offset}, static_cast<std::uint32_t>(piece->length), piece->chunk);
    if (!bytes && bytes.error().kind() != Kind::kIntegrity) return fail(bytes.error());
    right = bytes.has_value();
  }
  if (right) return {};
  if (no) TRY(staging_->restart(*no));  // the next try takes all of it anew
  return fail(Kind::kIntegrity, "publish " + entry.name.shown(),
              "what was staged of it is damaged; it is sent again when you try again");
}

Result<> StagedSink::clear_staging() {
  staging_.reset();
  return store::remove_tree(*files_, staging_name_);
}

void StagedSink::give_up_lock() {
  // The lock goes while it is held: whoever waits for it then finds its file gone and makes
  // another.
  (void)files_->remove(store::staging_lock(staging_name_));
  lock_.reset();
}

void StagedSink::leave_no_trace() {
  give_up_lock();
  // Only if empty: another transfer into the same folder may be staged there.
  if (files_->remove_folder(staging_name_.parent()))
    (void)files_->remove_folder(staging_name_.parent().parent());
}

}  // namespace longhaul::transfer
