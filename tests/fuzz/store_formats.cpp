// What the store reads from peers, disks and users, on arbitrary bytes; the first byte chooses:
// manifest, journal, name, exclude rules, demand. What is accepted must come back as it was.
#include <cstddef>
#include <cstdint>

#include "lib/base/assert.hpp"
#include "lib/store/demand.hpp"
#include "lib/store/ignore.hpp"
#include "lib/store/journal.hpp"
#include "lib/store/tree.hpp"

using namespace longhaul;
using namespace longhaul::store;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = std::as_bytes(std::span(data + 1, size - 1));
  switch (data[0] % 5) {
    case 0:
      if (const auto tree = Tree::parse(GrowingBytes::copy_of(bytes))) {
        ASSERT(equal(tree->bytes(), bytes));
        std::uint64_t size_sum = 0;
        for (TreeWalk walk(*tree); walk.next();) size_sum += walk.entry().size;
        ASSERT(size_sum == tree->totals().bytes);
      }
      break;
    case 1:
      if (const auto content = read_journal(bytes)) ASSERT(content->end <= bytes.size());
      break;
    case 2:
      if (const auto name = TreeName::parse(text_of(bytes))) {
        ASSERT(name->text() == text_of(bytes));
        ASSERT(name->parent().child(name->last()).has_value());
      }
      break;
    case 3: {
      IgnoreRules rules;
      if (bytes.size() < 4096 && rules.add(text_of(bytes)))
        (void)rules.judge(TreeName::known("a/b.c/[d]"), true);
      break;
    }
    case 4:
      if (const auto demand = parse_demand(bytes)) ASSERT(equal(to_bytes(*demand), bytes));
      break;
  }
  return 0;
}
