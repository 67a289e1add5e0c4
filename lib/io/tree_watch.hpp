// TreeWatch: hears that something in a tree of folders changed, from the kernel (inotify) while it
// can tell. It cannot on file systems that other machines write to (NFS, SMB, Lustre, FUSE ..), and
// not for more folders than a user may watch; then the caller must look for itself, more often:
// look_every() and blind() say so. What is written through a mapping is never told of.
//
// It watches exactly the folders it was given last. Between a walk that found a folder and the
// follow() that begins to watch it, changes are missed: where follow() returns true, walk again.
//
// Lives on Env's strand; follow() works on the pool and must have returned before destruction.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/io/env.hpp"
#include "lib/store/tree_name.hpp"

namespace longhaul::io {

class TreeWatch {
 public:
  static constexpr Duration kPatrol = 60s;  // in spite of watching
  static constexpr Duration kPoll = 2s;     // instead of it
  // The path of the tree's top, absolute. Never fails: what cannot be watched is polled.
  static std::unique_ptr<TreeWatch> open(Env& env, std::string top);
  virtual ~TreeWatch() = default;
  // Watches the top and these folders below it, and no others. True: some of them are new.
  virtual Task<bool> follow(std::vector<store::TreeName> folders) = 0;
  // Ends when something changed since the last call, what changes at the same time counting once,
  // and after close(): false.
  virtual Task<bool> changed() = 0;
  // Why the kernel does not tell of changes, with what mends it; nullopt: it does.
  virtual std::optional<Error> blind() const = 0;
  Duration look_every() const { return blind() ? kPoll : kPatrol; }
  virtual void close() = 0;
};

}  // namespace longhaul::io
