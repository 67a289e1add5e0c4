// What differs between two trees, in walk order, at a cost of what differs: a folder with the same
// digest on both sides is passed over whole.
#pragma once

#include <functional>

#include "lib/store/tree.hpp"

namespace longhaul::store {

// Only in the new tree: `before` is null; only in the old: `after` is. Both: entry or content
// differ; for two folders only if mode or time do, what they hold is told by itself.
struct Change {
  const TreeWalk* before = nullptr;
  const TreeWalk* after = nullptr;
};

void difference(const Tree& from, const Tree& to, const std::function<void(const Change&)>& tell);

}  // namespace longhaul::store
