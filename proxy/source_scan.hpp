// The walk over what is to be pushed, in steps on the pool, with the scan cache of the last push;
// and keeping that cache once files have been hashed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/io/posix_files.hpp"
#include "lib/store/scan.hpp"
#include "lib/transfer/rows.hpp"
#include "proxy/app.hpp"

namespace longhaul::proxy {

struct ScanRequest {
  std::string source;  // a folder, or one file
  store::IgnoreRules rules;
  std::vector<store::TreeName> only;  // --files-from; empty: everything
};

struct ScannedSource {
  std::shared_ptr<transfer::Source> source;
  std::vector<store::ScanProblem> problems;
  std::uint64_t problem_count = 0;
  std::string top;  // what rows are named below: absolute, without links
  WallTime started;
  store::TreeName cache;  // below the state folder
};

// Ctrl-C ends it with kInterrupted.
io::Task<Result<ScannedSource>> scan_source(App& app, ScanRequest request);
// Remembers what each hashed file was made of; a failure costs a read next time, no more.
void keep_scan(const App& app, const ScannedSource& scanned);

}  // namespace longhaul::proxy
