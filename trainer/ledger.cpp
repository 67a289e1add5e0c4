#include "trainer/ledger.hpp"

namespace longhaul::trainer {

std::string_view name_of(Column column) {
  constexpr std::array<std::string_view, kColumns> kNames = {
      "compute", "data", "report", "checkpoint", "sync", "control", "other"};
  return kNames[static_cast<std::size_t>(column)];
}

}  // namespace longhaul::trainer
