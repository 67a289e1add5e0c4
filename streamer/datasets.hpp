// The datasets and checkpoints of this site, and what a peer may ask of them by its role: an owner
// may do all, an observer may list, a site neither.
#pragma once

#include <memory>
#include <optional>

#include "lib/auth/role.hpp"
#include "lib/base/stage_clock.hpp"
#include "lib/io/clocks.hpp"
#include "lib/store/audit.hpp"
#include "lib/store/chunk_index.hpp"
#include "lib/store/version.hpp"
#include "lib/transfer/site_host.hpp"
#include "streamer/root.hpp"

namespace longhaul::streamer {

// Shared by all sessions of this site. Thread-safe as its parts are.
struct Datasets {
  StageClock stages{&io::steady_time};  // of all transfers here
  std::shared_ptr<store::Files> files;
  std::unique_ptr<store::Root> root;
  std::unique_ptr<store::ChunkIndex> index;
  std::optional<store::Rebuilt> rebuilt;  // the index was lost, and is restored
};

// Locks the root against other processes, finishes what a crash cut short, opens or rebuilds the
// index.
Result<std::shared_ptr<Datasets>> open_datasets(const Root& root);

class RoleHost final : public transfer::Host {
 public:
  RoleHost(std::shared_ptr<Datasets> datasets, auth::Role role);
  Result<std::shared_ptr<transfer::Sink>> receive(const wire::Offer& offer) override;
  Result<std::unique_ptr<transfer::FetchWork>> send(const wire::Fetch& fetch) override;
  Result<std::unique_ptr<transfer::FetchWork>> send(const wire::FetchCheckpoint& fetch) override;
  Result<std::unique_ptr<transfer::AskWork>> answer(const wire::Ask& ask) override;

 private:
  const std::shared_ptr<Datasets> datasets_;
  const auth::Role role_;
  transfer::SiteHost host_;
};

}  // namespace longhaul::streamer
