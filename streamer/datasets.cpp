#include "streamer/datasets.hpp"

#include <utility>

#include "lib/checkpoint/serve.hpp"
#include "lib/io/sqlite_index.hpp"
#include "lib/store/timed_files.hpp"

namespace longhaul::streamer {
namespace {

Error forbidden(const char* what) {
  return {Kind::kAuth, what, "this node's role does not allow it"};
}

}  // namespace

Result<std::shared_ptr<Datasets>> open_datasets(const Root& root) {
  auto out = std::make_shared<Datasets>();
  out->files = std::make_shared<store::TimedFiles>(root.files, out->stages);
  out->root = TRY(store::Root::open(*out->files));
  auto opened = TRY(io::SqliteIndex::open(root.state_path + "/index.sqlite"));
  out->index = std::move(opened.index);
  if (opened.was_lost) out->rebuilt = TRY(store::rebuild_index(*out->root, *out->index));
  return out;
}

RoleHost::RoleHost(std::shared_ptr<Datasets> datasets, auth::Role role)
    : datasets_(std::move(datasets)),
      role_(role),
      host_(*datasets_->root, *datasets_->index, transfer::SiteRights{}) {}

Result<std::shared_ptr<transfer::Sink>> RoleHost::receive(const wire::Offer& offer) {
  if (role_ != auth::Role::kOwner) return fail(forbidden("take a push"));
  return host_.receive(offer);
}

Result<std::unique_ptr<transfer::FetchWork>> RoleHost::send(const wire::Fetch& fetch) {
  if (role_ != auth::Role::kOwner) return fail(forbidden("give a dataset"));
  return host_.send(fetch);
}

Result<std::unique_ptr<transfer::FetchWork>> RoleHost::send(const wire::FetchCheckpoint& fetch) {
  if (role_ != auth::Role::kOwner) return fail(forbidden("give a checkpoint"));
  return checkpoint::open_checkpoint(*datasets_->files, fetch);
}

Result<std::unique_ptr<transfer::AskWork>> RoleHost::answer(const wire::Ask& ask) {
  const bool lists = ask.type == wire::AskType::kDatasets || ask.type == wire::AskType::kVersions ||
                     ask.type == wire::AskType::kFiles || ask.type == wire::AskType::kCheckpoints;
  const bool may = role_ == auth::Role::kOwner || (role_ == auth::Role::kObserver && lists);
  if (!may) return fail(forbidden("answer that"));
  if (ask.type == wire::AskType::kCheckpoints)
    return checkpoint::list_checkpoints(*datasets_->files, ask);
  return host_.answer(ask);
}

}  // namespace longhaul::streamer
