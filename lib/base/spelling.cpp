#include "lib/base/spelling.hpp"

#include <algorithm>

namespace longhaul {
namespace {

constexpr std::size_t kLongest = 64;  // nothing that long was meant to be a command

// Edits of one letter, and swaps of neighbours that are not edited again (optimal alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({replaced, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string nearest_word(std::string_view typed, const std::vector<std::string>& known) {
  if (typed.empty() || typed.size() > kLongest) return {};
  std::string best;
  std::size_t least = typed.size() <= 3 ? 1 : 2;
  for (const std::string& word : known) {
    if (word.size() > kLongest) continue;
    const std::size_t edits = distance(typed, word);
    if (edits < least || (edits == least && best.empty())) {
      least = edits;
      best = word;
    }
  }
  return best;
}

}  // namespace longhaul
