// VersionSink: where a push ends, a new version of a dataset. What the newest version already holds
// is shared with it, other chunks the index knows are copied and hashed; store::publish does the
// rest.
#pragma once

#include "lib/store/chunk_index.hpp"
#include "lib/store/publish.hpp"
#include "lib/store/version.hpp"
#include "lib/transfer/staged_sink.hpp"

namespace longhaul::transfer {

class VersionSink final : public StagedSink {
 public:
  VersionSink(store::Root& root, store::ChunkIndex& index, store::DatasetName dataset);
  void on_manifest(const store::Tree& tree) override;
  bool may_be_read() const override { return true; }
  std::optional<store::Demand> demand() override;
  Result<Published> publish(const store::Tree& tree) override;

 protected:
  Result<Opened> prepare(const wire::Offer& offer) override;
  std::optional<LocalPlace> find_local(const store::ChunkId& chunk) override;
  std::uint64_t may_stay() const override;

 private:
  store::Root& root_;
  store::ChunkIndex& index_;
  const store::DatasetName dataset_;
  std::optional<store::PublishBase> base_;
};

}  // namespace longhaul::transfer
