// Publishing: from staged files to a version. Nothing stands under its final name before all of it
// is there, hashed and durable; a crash at any point leaves either the staging, to be resumed, or
// the whole version. The order is the promise (docs/store.md, "Why a crash cannot hurt"):
// fill in, check, sync everything, manifest (synced, renamed, folder synced), rename, sync folder.
//
// Blocks for seconds: one Job. What fails may be tried again, but after a failed sync never on the
// same staging.
#pragma once

#include <span>

#include "lib/store/chunk_index.hpp"
#include "lib/store/staging.hpp"
#include "lib/store/version.hpp"

namespace longhaul::store {

// A published version that may lend unchanged files: the same name, content, mode and time is
// shared (reflink, else hard link); the same name and content alone is copied, checked.
struct PublishBase {
  Tree tree;
  TreeName folder;
};

struct Published {
  VersionNo version;
  crypto::Digest root;
};

// Every file of `tree` must be whole in `staging` or stand unchanged in `base` (may be null).
// Chunks that an earlier process wrote are read and hashed again; if one is bad its file is given
// up, to be sent anew, and the error is kIntegrity. kNotFound: a file is in neither. On success the
// staging is spent and the index, if given, knows the new places.
Result<Published> publish(Root& root, const DatasetName& dataset, const Tree& tree,
                          Staging& staging, const PublishBase* base, ChunkIndex* index);

// The part before the final name: makes the folder staging.tree() hold exactly `tree`, durably.
Result<> prepare(const Tree& tree, Staging& staging, const PublishBase* base, bool read_only);

// Adds all chunks of a tree that stands at `folder`.
Result<> index_tree(ChunkIndex& index, const Tree& tree, const TreeName& folder);

}  // namespace longhaul::store
