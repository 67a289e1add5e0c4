// StagedSink: the half of a sink that a push and a pull share: files grow in a store::Staging below
// .longhaul/staging of some root, resume by its journal, and take bytes that are already at this
// end instead of the link's. What a tree is published as is for the two derived classes.
//
// Thread-safe as Sink demands: Staging is, the rest is set in open() or guarded.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "lib/transfer/sink.hpp"

namespace longhaul::transfer {

// Where bytes of a chunk lie in a published or local file, to be hashed before use.
struct LocalPlace {
  store::TreeName name;  // in the sink's files
  std::uint64_t offset = 0;
};

class StagedSink : public Sink {
 public:
  // staging: .longhaul/staging/ID below the root of `files`, the same for every session of one
  // transfer.
  StagedSink(std::shared_ptr<store::Files> files, store::TreeName staging);

  Result<Opened> open(const wire::Offer& offer) override;
  Result<> begin_attempt(const wire::Offer& offer) override;
  Result<store::FileNo> add_file(const store::Entry& entry) override;
  Presence presence(const store::StagedChunk& place) override;
  Result<> reserve(std::uint64_t bytes) override;
  Result<> write(std::span<const store::StagedWrite> writes) override;
  Result<> copy_here(const store::StagedChunk& to, std::optional<StagedPlace> from) override;
  Result<> sync() override;

 protected:
  // Called by open(), under the lock of this transfer.
  virtual Result<Opened> prepare(const wire::Offer& offer) = 0;
  virtual std::optional<LocalPlace> find_local(const store::ChunkId& chunk) = 0;
  // Once prepared: so many bytes may become part of the tree as they lie here, unwritten.
  virtual std::uint64_t may_stay() const { return 0; }

  store::Files& files() { return *files_; }
  store::Staging& staging() { return *staging_; }
  // All of a file's bytes are staged; what an earlier process staged is read and hashed again.
  Result<> check_staged(const store::Entry& entry, std::span<const store::Piece> pieces);
  // After publishing: the staging and its journal go.
  Result<> clear_staging();
  // Then the lock.
  void give_up_lock();
  // And the folders above it, too: where longhaul is a guest.
  void leave_no_trace();

 private:
  Result<> check_room(std::uint64_t bytes) const;
  Result<ByteVector> read_checked(const LocalPlace& from, std::uint32_t length,
                                  const store::ChunkId& chunk);

  const std::shared_ptr<store::Files> files_;
  const store::TreeName staging_name_;
  std::unique_ptr<store::FileLock> lock_;
  std::unique_ptr<store::Staging> staging_;
  std::uint64_t free_bytes_ = 0;
  std::atomic<std::uint64_t> reserved_bytes_{0};
};

// .longhaul/staging/ID, the ID a hash of `what`: a name a peer chose never becomes a path here.
store::TreeName staging_folder(std::string_view what);

}  // namespace longhaul::transfer
