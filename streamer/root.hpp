// Root: the folder a streamer keeps everything in, and the part of it that is private:
//
//   ROOT/datasets, ROOT/runs     what people and trainers see
//   ROOT/.longhaul/ (0700)       identity.pem, ledger, index, staging
#pragma once

#include <memory>
#include <string>

#include "lib/io/posix_files.hpp"

namespace longhaul::streamer {

struct Root {
  std::string path;
  std::shared_ptr<io::PosixFiles> files;  // rooted at ROOT
  std::shared_ptr<io::PosixFiles> node;   // rooted at ROOT/.longhaul
};

// Makes nothing: kNotFound where there is no root.
Result<Root> look_at_root(const std::string& path);
// Makes what is missing.
Result<Root> open_root(const std::string& path);

}  // namespace longhaul::streamer
