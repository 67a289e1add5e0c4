// SiteHost: an exchange's end at a site: pushes become versions of datasets, pulls read them,
// requests are answered from the root. One for all sessions of a site; its parts outlive every
// exchange and job that uses them. Thread-safe where its parts are: what it hands out runs in jobs.
#pragma once

#include "lib/store/chunk_index.hpp"
#include "lib/store/version.hpp"
#include "lib/transfer/host.hpp"

namespace longhaul::transfer {

struct SiteRights {
  bool read = true;
  bool write = true;  // push, remove
};

class SiteHost final : public Host {
 public:
  SiteHost(store::Root& root, store::ChunkIndex& index, SiteRights rights)
      : root_(root), index_(index), rights_(rights) {}
  Result<std::shared_ptr<Sink>> receive(const wire::Offer& offer) override;
  Result<std::unique_ptr<FetchWork>> send(const wire::Fetch& fetch) override;
  Result<std::unique_ptr<AskWork>> answer(const wire::Ask& ask) override;

 private:
  store::Root& root_;
  store::ChunkIndex& index_;
  const SiteRights rights_;
};

}  // namespace longhaul::transfer
