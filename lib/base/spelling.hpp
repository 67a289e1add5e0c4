// Spelling: the word of a list that a mistyped one was probably meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longhaul {

// The nearest of `known` by insertions, deletions, replacements and swaps of neighbours, if it is
// near: at most one for words of up to three letters, two for longer ones. Empty: none is.
std::string nearest_word(std::string_view typed, const std::vector<std::string>& known);

}  // namespace longhaul
