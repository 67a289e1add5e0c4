// Row: one name of a tree as it crosses the link: what it is and, for a file, the pieces its bytes
// are made of. A sender's rows come from a walk (push) or a published version (pull); files whose
// pieces the scan cache did not know are hashed while the transfer runs. A receiver's rows come
// from the manifest.
//
// Row is a value. Source is shared between a sender and its jobs; the jobs see only `files` and
// names.
#pragma once

#include <memory>
#include <vector>

#include "lib/store/entry.hpp"
#include "lib/store/files.hpp"

namespace longhaul::transfer {

struct Row {
  store::Entry entry;
  std::vector<store::Piece> pieces;  // file
  bool hashed = false;               // file: pieces cover its size
  store::FileStat seen;              // sender: what the walk saw, the guard against change

  bool is_file() const { return entry.type == store::EntryType::kFile; }
};

struct Source {
  std::shared_ptr<store::Files> files;
  store::TreeName root;   // rows are named below it
  std::vector<Row> rows;  // TreeName order: a folder before what it holds
};

}  // namespace longhaul::transfer
