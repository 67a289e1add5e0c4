#include "lib/store/ignore.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"

namespace longhaul::store {

// Reads "[a-z!]" at `at`; returns the index behind it, or `at` if it never closes.
std::size_t Glob::read_class(std::string_view pattern, std::size_t at) {
  Token token;
  token.kind = Kind::kClass;
  std::size_t i = at + 1;
  if (i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^')) {
    token.negated = true;
    ++i;
  }
  const std::size_t start = i;
  for (; i < pattern.size() && (pattern[i] != ']' || i == start); ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    const char first = pattern[i];
    char last = first;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      last = pattern[i + 2];
      i += 2;
    }
    token.members.push_back(first);
    token.members.push_back(last);
  }
  if (i >= pattern.size()) return at;
  tokens_.push_back(std::move(token));
  return i + 1;
}

Glob::Glob(std::string_view pattern) {
  const auto push = [this](Kind kind, char byte = 0) {
    Token token;
    token.kind = kind;
    token.byte = byte;
    tokens_.push_back(std::move(token));
  };
  for (std::size_t i = 0; i < pattern.size();) {
    const bool at_component = i == 0 || pattern[i - 1] == '/';
    if (at_component && pattern.substr(i, 3) == "**/") {  // any folders, none too
      push(Kind::kFoldersStart);
      push(Kind::kFolders);
      i += 3;
    } else if (pattern.substr(i, 2) == "**") {
      push(Kind::kDeepStar);
      i += 2;
    } else if (pattern[i] == '*') {
      push(Kind::kStar);
      ++i;
    } else if (pattern[i] == '?') {
      push(Kind::kAny);
      ++i;
    } else if (pattern[i] == '[') {
      const std::size_t behind = read_class(pattern, i);
      if (behind == i) push(Kind::kByte, '[');
      i = std::max(behind, i + 1);
    } else {
      if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
      push(Kind::kByte, pattern[i]);
      ++i;
    }
  }
}

bool Glob::in_class(const Token& token, char c) {
  const auto byte = static_cast<unsigned char>(c);
  bool member = false;
  for (std::size_t i = 0; i + 1 < token.members.size(); i += 2)
    member |= static_cast<unsigned char>(token.members[i]) <= byte &&
              byte <= static_cast<unsigned char>(token.members[i + 1]);
  return member != token.negated;
}

// All places in the pattern that the text so far may have reached, one bit each: no backtracking.
bool Glob::matches(std::string_view text) const {
  std::vector<char> here(tokens_.size() + 1), next(tokens_.size() + 1);
  const auto settle = [this](std::vector<char>& reached) {  // tokens that may match nothing
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (reached[i] == 0) continue;
      const Kind kind = tokens_[i].kind;
      if (kind == Kind::kStar || kind == Kind::kDeepStar) reached[i + 1] = 1;
      if (kind == Kind::kFoldersStart) reached[i + 1] = reached[i + 2] = 1;
    }
  };
  here[0] = 1;
  settle(here);
  for (const char c : text) {
    std::fill(next.begin(), next.end(), char{0});
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (here[i] == 0) continue;
      const Token& token = tokens_[i];
      switch (token.kind) {
        case Kind::kByte:
          if (c == token.byte) next[i + 1] = 1;
          break;
        case Kind::kAny:
          if (c != '/') next[i + 1] = 1;
          break;
        case Kind::kClass:
          if (c != '/' && in_class(token, c)) next[i + 1] = 1;
          break;
        case Kind::kStar:
          if (c != '/') next[i] = 1;
          break;
        case Kind::kDeepStar:
          next[i] = 1;
          break;
        case Kind::kFoldersStart:
          break;
        case Kind::kFolders:
          next[i] = 1;
          if (c == '/') next[i + 1] = 1;
          break;
      }
    }
    settle(next);
    here.swap(next);
  }
  return here[tokens_.size()] != 0;
}

Result<> IgnoreRules::add(std::string_view lines, const TreeName& folder) {
  if (lines.size() > kIgnoreBytesMax)
    return fail(Kind::kLimit, "read exclude rules", "they are longer than 1 MiB");
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const std::string shown = printable(line, 80);
    if (line.size() > kPatternBytesMax)
      return fail(Error(Kind::kLimit, "read the exclude rule " + shown,
                        "it is longer than " + std::to_string(kPatternBytesMax) + " bytes")
                      .advise("write a shorter pattern, or several"));
    if (rules_.size() >= kIgnoreRulesMax)
      return fail(Error(Kind::kLimit, "read exclude rules",
                        "there are more than " + std::to_string(kIgnoreRulesMax))
                      .advise("exclude whole folders instead of each of their files"));
    bool take_back = false;
    if (line.front() == '!') {
      take_back = true;
      line.remove_prefix(1);
    }
    const bool only_folders = line.ends_with('/');
    if (only_folders) line.remove_suffix(1);
    const bool tied = line.find('/') != std::string_view::npos;
    if (line.starts_with('/')) line.remove_prefix(1);
    if (line.empty())
      return fail(Error(Kind::kUsage, "read the exclude rule " + shown, "it names nothing")
                      .advise("write a pattern behind the '!' or '/', or leave the line out"));
    rules_.push_back({folder, Glob(line), take_back, only_folders, tied});
  }
  return {};
}

void IgnoreRules::shrink_to(std::size_t count) {
  while (rules_.size() > count) rules_.pop_back();
}

IgnoreRules::Verdict IgnoreRules::judge(const TreeName& name, bool is_folder) const {
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->only_folders && !is_folder) continue;
    if (!name.is_within(rule->folder) || name == rule->folder) continue;
    std::string_view text = name.last();
    if (rule->tied) {
      text = name.text();
      if (!rule->folder.is_root()) text.remove_prefix(rule->folder.text().size() + 1);
    }
    if (rule->glob.matches(text)) return rule->take_back ? Verdict::kTakenBack : Verdict::kExcluded;
  }
  return Verdict::kNone;
}

}  // namespace longhaul::store
