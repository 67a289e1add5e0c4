#include "lib/transfer/version_sink.hpp"

#include "lib/store/incoming.hpp"

namespace longhaul::transfer {

namespace {
// The root's files outlive every sink; nothing is owned here.
std::shared_ptr<store::Files> borrowed(store::Files& files) {
  return {std::shared_ptr<void>(), &files};
}
}  // namespace

VersionSink::VersionSink(store::Root& root, store::ChunkIndex& index, store::DatasetName dataset)
    : StagedSink(borrowed(root.files()), store::incoming_folder(dataset)),
      root_(root),
      index_(index),
      dataset_(std::move(dataset)) {}

Result<Sink::Opened> VersionSink::prepare(const wire::Offer& offer) {
  Opened opened;
  const auto versions = TRY(root_.versions(dataset_));
  if (versions.empty()) return opened;
  const store::VersionNo newest = versions.back();
  // Only the newest may stand for the whole push: an older one equal to it would leave `current`
  // where the sender did not mean it to be.
  const crypto::Digest newest_root = TRY(root_.root_of(dataset_, newest));
  if (offer.root && *offer.root == newest_root) {
    opened.existing = Published{newest.value(), newest_root, true};
    return opened;
  }
  std::optional<store::VersionNo> base = newest;
  if (offer.base && *offer.base != newest_root) {
    const auto found = TRY(root_.find(dataset_, *offer.base));
    if (found) base = found;
  }
  base_ =
      store::PublishBase{TRY(root_.tree(dataset_, *base)), store::Root::folder_of(dataset_, *base)};
  if (offer.base && base_->tree.root() == *offer.base) opened.base = base_->tree;
  return opened;
}

std::optional<LocalPlace> VersionSink::find_local(const store::ChunkId& chunk) {
  auto found = index_.find(chunk);
  // An index that cannot answer knows nothing: the chunk crosses the link.
  if (!found || !found->has_value()) return std::nullopt;
  return LocalPlace{(*found)->file, (*found)->offset};
}

std::uint64_t VersionSink::may_stay() const {
  return base_ ? base_->tree.totals().bytes : 0;
}

void VersionSink::on_manifest(const store::Tree& tree) {
  // A reader that hears nothing waits for the end of the push: no reason to stop it.
  (void)store::tell_incoming(root_.files(), dataset_, tree);
}

std::optional<store::Demand> VersionSink::demand() {
  return store::read_demand(root_.files(), dataset_);
}

Result<Published> VersionSink::publish(const store::Tree& tree) {
  // A sender that had to read its files again knows the root only now: an unchanged tree makes no
  // new version.
  const auto versions = TRY(root_.versions(dataset_));
  if (!versions.empty() && TRY(root_.root_of(dataset_, versions.back())) == tree.root()) {
    TRY(clear_staging());
    give_up_lock();
    return Published{versions.back().value(), tree.root(), true};
  }
  const auto published =
      TRY(store::publish(root_, dataset_, tree, staging(), base_ ? &*base_ : nullptr, &index_));
  TRY(clear_staging());
  store::forget_demand(root_.files(), dataset_);
  give_up_lock();
  return Published{published.version.value(), published.root, false};
}

}  // namespace longhaul::transfer
