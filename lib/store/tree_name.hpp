// TreeName: a file's place below some root, judged. One that exists holds no "..", ".", empty or
// over-long component, no NUL, no leading slash, and is never deeper than kTreeDepthMax: whatever a
// peer sends, joining it to a folder stays below that folder. Other bytes are allowed as they are
// on disk (invalid UTF-8, newline, ESC): print only through printable(). A value; any thread.
//
//   auto name = TRY(TreeName::parse(from_peer));
//   files.open(name.under(staging), Access::kCreate);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::store {

constexpr std::size_t kComponentBytesMax = 255;  // NAME_MAX of every file system in use
// PATH_MAX is 4096 with its NUL; the rest is room for the folders we put in front.
constexpr std::size_t kTreeNameBytesMax = 3584;
constexpr std::size_t kPathBytesMax = 4095;
constexpr std::size_t kTreeDepthMax = 128;  // components
constexpr std::size_t kLinkTargetBytesMax = 1024;

class TreeName {
 public:
  TreeName() = default;  // the root itself
  // kMalformed or kLimit. "" is refused: the root is never named by a peer.
  static Result<TreeName> parse(std::string_view raw);
  // A name that stands in this program's text; a wrong one is a bug.
  static TreeName known(std::string_view literal);

  bool is_root() const { return text_.empty(); }
  const std::string& text() const { return text_; }
  std::string_view last() const;  // the last component; empty for the root
  TreeName parent() const;        // of the root: the root
  std::size_t depth() const;      // components; the root has none
  // The name of `component` in this folder; the same limits as parse().
  Result<TreeName> child(std::string_view component) const;
  // The same place seen from further up: folder/this.
  TreeName under(const TreeName& folder) const;
  bool is_within(const TreeName& folder) const;  // below it, or the same
  std::string shown() const;                     // fit for people: printable()

  bool operator==(const TreeName&) const = default;
  // Order of a walk: component by component, bytes compared unsigned.
  std::strong_ordering operator<=>(const TreeName& other) const;

 private:
  explicit TreeName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// One component, as a folder lists it.
Result<> judge_component(std::string_view component);
// What a symbolic link at `link` may hold: relative, every ".." leading, no more of them than the
// folder of the link is deep, so that it cannot point out of the tree.
Result<> judge_link_target(std::string_view target, const TreeName& link);

}  // namespace longhaul::store
