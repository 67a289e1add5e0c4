#include "lib/store/difference.hpp"

namespace longhaul::store {

void difference(const Tree& from, const Tree& to, const std::function<void(const Change&)>& tell) {
  if (from.root() == to.root()) return;
  TreeWalk before(from), after(to);
  bool old_left = before.next(), new_left = after.next();
  while (old_left || new_left) {
    const auto order = !old_left   ? std::strong_ordering::greater
                       : !new_left ? std::strong_ordering::less
                                   : before.entry().name <=> after.entry().name;
    if (order < 0) {
      tell({&before, nullptr});
      old_left = before.next();
      continue;
    }
    if (order > 0) {
      tell({nullptr, &after});
      new_left = after.next();
      continue;
    }
    const bool both_folders =
        before.entry().type == EntryType::kFolder && after.entry().type == EntryType::kFolder;
    if (before.entry() != after.entry() ||
        (!both_folders && !equal(before.piece_bytes(), after.piece_bytes())))
      tell({&before, &after});
    if (both_folders && before.digest() == after.digest()) {
      before.skip();
      after.skip();
    }
    old_left = before.next();
    new_left = after.next();
  }
}

}  // namespace longhaul::store
