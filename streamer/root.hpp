// Root: the folder a streamer keeps everything in, and the part of it that is private:
//
//   ROOT/datasets, ROOT/runs     what people and trainers see
//   ROOT/.longhaul/ (0700)       identity.pem, ledger, manifests, staging
//   STATE/                       index.sqlite, locks: ROOT/.longhaul unless --state DIR was given,
//                                then DIR/longhaul-<of ROOT>; on a disk of this host
//
// Where the state is stands in ROOT/.longhaul/state.toml, so that it is given once. Nothing in it
// is irreplaceable: an empty one is as good, and costs a rebuild of the index.
#pragma once

#include <memory>
#include <string>

#include "lib/io/posix_files.hpp"

namespace longhaul::streamer {

struct Root {
  std::string path;
  std::string state_path;                 // of STATE
  std::string state_folder;               // DIR; empty: none was given
  std::shared_ptr<io::PosixFiles> files;  // rooted at ROOT
  std::shared_ptr<io::PosixFiles> node;   // rooted at ROOT/.longhaul
  std::shared_ptr<io::PosixFiles> state;  // rooted at STATE; null: only looked at, and not there
  bool has_own_state() const { return !state_folder.empty(); }
};

// Makes nothing: kNotFound where there is no root.
Result<Root> look_at_root(const std::string& path);
// Makes what is missing, but not the state: that is a serving streamer's.
Result<Root> open_root(const std::string& path);
// Makes that, too, with its state in `state_folder`, unless that is empty: then where it was last.
Result<Root> open_root_with_state(const std::string& path, const std::string& state_folder);
// So that it is found there next time. For who holds the root.
Result<> remember_state(const Root& root);

}  // namespace longhaul::streamer
