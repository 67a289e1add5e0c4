// Incoming: where a push of a dataset lies while it is on its way, for who reads it before it is
// whole: the staging's tree grows in any order, and beside it, once the sender has named
// everything, stands the manifest of what is coming. Nothing of it is durable or verified by being
// there: a reader checks every chunk against the manifest. Pure.
#pragma once

#include "lib/store/version.hpp"

namespace longhaul::store {

TreeName incoming_folder(const DatasetName& dataset);    // .longhaul/staging/ID
TreeName incoming_tree(const DatasetName& dataset);      // its files, under their final names
TreeName incoming_manifest(const DatasetName& dataset);  // in the form of manifest_file.hpp
// Tells readers what is coming; replaces what was told before, not durably.
Result<> tell_incoming(Files& files, const DatasetName& dataset, const Tree& tree);

}  // namespace longhaul::store
