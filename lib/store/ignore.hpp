// Exclude rules, as in gitignore(5): one pattern a line; `#` comments, `!` takes back, a trailing
// `/` means folders only, a `/` elsewhere ties the pattern to its folder, `*` and `?` stop at `/`,
// `**` does not, `[a-z]` and `\` as usual. The last rule that matches decides; what lies in an
// excluded folder cannot be taken back. A value. Matching takes at most name times pattern steps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/store/tree_name.hpp"

namespace longhaul::store {

constexpr std::size_t kIgnoreBytesMax = 1U << 20;  // of one file of rules
constexpr std::size_t kIgnoreRulesMax = 10'000;    // in all
constexpr std::size_t kPatternBytesMax = 1024;
constexpr std::string_view kIgnoreFile = ".longhaulignore";

class Glob {  // a pattern made ready
 public:
  explicit Glob(std::string_view pattern);
  bool matches(std::string_view text) const;

 private:
  enum class Kind : std::uint8_t { kByte, kAny, kClass, kStar, kDeepStar, kFoldersStart, kFolders };
  struct Token {
    Kind kind = Kind::kByte;
    char byte = 0;
    std::string members;   // kClass: pairs of first and last byte
    bool negated = false;  // kClass
  };
  static bool in_class(const Token& token, char c);
  std::size_t read_class(std::string_view pattern, std::size_t at);
  std::vector<Token> tokens_;
};

class IgnoreRules {
 public:
  enum class Verdict : std::uint8_t { kNone, kExcluded, kTakenBack };
  // The lines of a rules file that stands in `folder`; kLimit, or kUsage for a line that is none.
  Result<> add(std::string_view lines, const TreeName& folder = TreeName());
  std::size_t count() const { return rules_.size(); }
  void shrink_to(std::size_t count);  // the walk leaves a folder: forget its rules
  Verdict judge(const TreeName& name, bool is_folder) const;

 private:
  struct Rule {
    TreeName folder;
    Glob glob;
    bool take_back = false, only_folders = false, tied = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace longhaul::store
