// Sink: where a receiver's tree ends: a new version of a dataset (push) or a folder (pull). It
// stages, verifies presence, syncs and publishes through lib/store; the receiver decides when.
// Every call blocks and is made from jobs, several at once; a sink belongs to one receiver and
// lives until its last job is back.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lib/store/demand.hpp"
#include "lib/store/staging.hpp"
#include "lib/store/tree.hpp"
#include "lib/transfer/manifest.hpp"

namespace longhaul::transfer {

struct Published {
  std::uint64_t version = 0;  // 0: a folder
  crypto::Digest root;
  bool existed = false;  // it was there already: nothing was made
};

// A chunk's place among the staged files.
struct StagedPlace {
  store::FileNo file;
  std::uint64_t offset = 0;
};

enum class Presence : std::uint8_t {
  kMissing,  // must cross the link
  kHeld,     // staged at its place by an earlier session
  kLocal,    // elsewhere at this end: copy_here() can get it
};

class Sink {
 public:
  virtual ~Sink() = default;
  struct Opened {
    std::optional<Published> existing;  // a version with the offer's root: nothing to do
    std::optional<store::Tree> base;    // the offer's base, if it is here
  };
  // Locks, resumes what is staged, checks that the offer's bytes fit. kBusy: another writer.
  virtual Result<Opened> open(const wire::Offer& offer) = 0;
  // The sender began its manifest anew.
  virtual Result<> begin_attempt(const wire::Offer& offer) = 0;
  // The staged file of a row whose content must be made; called once per row and attempt.
  virtual Result<store::FileNo> add_file(const store::Entry& entry) = 0;
  virtual Presence presence(const store::StagedChunk& place) = 0;
  // So many more bytes will be written: kNoSpace before the first of them if they do not fit.
  virtual Result<> reserve(std::uint64_t bytes) = 0;
  // Hashed by the caller.
  virtual Result<> write(std::span<const store::StagedWrite> writes) = 0;
  // Fills the place from elsewhere at this end, re-hashed. from: a staged place with the same
  // bytes, if one is known. kNotFound or kIntegrity: it must cross the link after all.
  virtual Result<> copy_here(const store::StagedChunk& to, std::optional<StagedPlace> from) = 0;
  virtual Result<> sync() = 0;
  // All that is coming is named, and much of it is not here yet.
  virtual void on_manifest(const store::Tree&) {}
  // Whether somebody may read of it before it is published; then demand() is asked now and again.
  virtual bool may_be_read() const { return false; }
  virtual std::optional<store::Demand> demand() { return std::nullopt; }
  // Everything is here: check, make durable, put under its final name.
  virtual Result<Published> publish(const store::Tree& tree) = 0;
};

}  // namespace longhaul::transfer
