#include "lib/store/tree_name.hpp"

#include <algorithm>

#include "lib/base/assert.hpp"
#include "lib/base/escape.hpp"

namespace longhaul::store {
namespace {

Error bad_name(Kind kind, std::string_view name, std::string why) {
  return Error(kind, "accept the name \"" + printable(name, 128) + "\"", std::move(why));
}

// '/' sorts before every byte a component can hold, so that a folder's content stays together.
unsigned walk_rank(char c) {
  return c == '/' ? 0U : static_cast<unsigned char>(c);
}

}  // namespace

Result<> judge_component(std::string_view component) {
  if (component.empty()) return fail(bad_name(Kind::kMalformed, component, "it is empty"));
  if (component == "." || component == "..")
    return fail(bad_name(Kind::kMalformed, component, "it leads elsewhere"));
  if (component.size() > kComponentBytesMax)
    return fail(bad_name(Kind::kLimit, component, "it is longer than 255 bytes"));
  if (component.find('/') != std::string_view::npos)
    return fail(bad_name(Kind::kMalformed, component, "it holds a slash"));
  if (component.find('\0') != std::string_view::npos)
    return fail(bad_name(Kind::kMalformed, component, "it holds a NUL byte"));
  return {};
}

Result<> judge_link_target(std::string_view target, const TreeName& link) {
  if (target.empty()) return fail(bad_name(Kind::kMalformed, target, "a link to nothing"));
  if (target.size() > kLinkTargetBytesMax)
    return fail(bad_name(Kind::kLimit, target, "a link's target is longer than 1024 bytes"));
  if (target.front() == '/') return fail(bad_name(Kind::kMalformed, target, "an absolute link"));
  if (target.find('\0') != std::string_view::npos)
    return fail(bad_name(Kind::kMalformed, target, "it holds a NUL byte"));
  std::size_t up = 0;
  bool inside = false;  // a real component was seen: from here no ".." may follow
  for (std::size_t at = 0; at <= target.size();) {
    const std::size_t end = std::min(target.find('/', at), target.size());
    const std::string_view part = target.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part.size() > kComponentBytesMax)
      return fail(bad_name(Kind::kLimit, target, "a component is longer than 255 bytes"));
    if (part != "..") {
      inside = true;
    } else if (inside) {
      return fail(bad_name(Kind::kMalformed, target, "\"..\" behind a name"));
    } else if (++up > link.parent().depth()) {
      return fail(bad_name(Kind::kMalformed, target, "the link leaves the tree"));
    }
  }
  return {};
}

Result<TreeName> TreeName::parse(std::string_view raw) {
  if (raw.size() > kTreeNameBytesMax)
    return fail(bad_name(Kind::kLimit, raw, "it is longer than 3584 bytes"));
  std::size_t depth = 0;
  for (std::size_t at = 0; at <= raw.size();) {
    const std::size_t end = std::min(raw.find('/', at), raw.size());
    TRY(judge_component(raw.substr(at, end - at)));
    if (++depth > kTreeDepthMax)
      return fail(bad_name(Kind::kLimit, raw, "it is deeper than 128 folders"));
    at = end + 1;
  }
  return TreeName(std::string(raw));
}

TreeName TreeName::known(std::string_view literal) {
  auto name = parse(literal);
  ASSERT(name.has_value());
  return *std::move(name);
}

std::string_view TreeName::last() const {
  const std::size_t slash = text_.rfind('/');
  return slash == std::string::npos ? std::string_view(text_)
                                    : std::string_view(text_).substr(slash + 1);
}

TreeName TreeName::parent() const {
  const std::size_t slash = text_.rfind('/');
  return slash == std::string::npos ? TreeName() : TreeName(text_.substr(0, slash));
}

std::size_t TreeName::depth() const {
  if (text_.empty()) return 0;
  return 1 + static_cast<std::size_t>(std::count(text_.begin(), text_.end(), '/'));
}

Result<TreeName> TreeName::child(std::string_view component) const {
  TRY(judge_component(component));
  if (depth() >= kTreeDepthMax)
    return fail(bad_name(Kind::kLimit, component, "it is deeper than 128 folders"));
  if (text_.size() + 1 + component.size() > kTreeNameBytesMax)
    return fail(bad_name(Kind::kLimit, component, "its path is longer than 3584 bytes"));
  if (text_.empty()) return TreeName(std::string(component));
  std::string joined;
  joined.reserve(text_.size() + 1 + component.size());
  joined.append(text_).append(1, '/').append(component);
  return TreeName(std::move(joined));
}

TreeName TreeName::under(const TreeName& folder) const {
  if (folder.is_root()) return *this;
  if (is_root()) return folder;
  TreeName joined(folder.text_ + '/' + text_);
  ASSERT(joined.text_.size() <= kPathBytesMax);  // our own folders are short
  return joined;
}

bool TreeName::is_within(const TreeName& folder) const {
  if (folder.is_root()) return true;
  if (!text_.starts_with(folder.text_)) return false;
  return text_.size() == folder.text_.size() || text_[folder.text_.size()] == '/';
}

std::string TreeName::shown() const {
  return is_root() ? "." : printable(text_);
}

std::strong_ordering TreeName::operator<=>(const TreeName& other) const {
  const auto [mine, theirs] =
      std::mismatch(text_.begin(), text_.end(), other.text_.begin(), other.text_.end());
  if (mine == text_.end() || theirs == other.text_.end())
    return (mine != text_.end()) <=> (theirs != other.text_.end());
  return walk_rank(*mine) <=> walk_rank(*theirs);
}

}  // namespace longhaul::store
