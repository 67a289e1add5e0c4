// A tree on disk: header and the tree's bytes (docs/store.md, "Manifest").
#pragma once

#include "lib/store/files.hpp"
#include "lib/store/tree.hpp"

namespace longhaul::store {

ByteVector manifest_header(const Tree& tree);  // the tree's bytes follow it
// kMalformed or kIntegrity unless they are a manifest, bit for bit. `what` names it in errors.
Result<Tree> parse_manifest(Bytes file, const std::string& what);

Result<> write_manifest(Files& files, const TreeName& name, const Tree& tree);  // durable
// Checked against its own root: kIntegrity if a bit rotted.
Result<Tree> read_manifest(Files& files, const TreeName& name);
Result<crypto::Digest> read_manifest_root(Files& files, const TreeName& name);  // of the header

}  // namespace longhaul::store
