// Wish: the file in which one reader tells the streamer which chunks of a dataset on its way it
// needs next (lib/store/demand.hpp). It is made at the first word and removed at the end; that it
// cannot be written costs the order in which a push arrives, nothing else, so no call fails. Blocks
// on the disk.
#pragma once

#include <optional>
#include <string>

#include "lib/store/demand.hpp"

namespace longhaul::gateway {

class Wish {
 public:
  explicit Wish(std::string folder) : folder_(std::move(folder)) {}
  ~Wish() { withdraw(); }
  Wish(const Wish&) = delete;
  Wish& operator=(const Wish&) = delete;

  void say(const store::Demand& demand);  // the same again: only looks whether it is still there
  void withdraw() noexcept;

 private:
  bool choose_path();
  bool write(const store::Demand& demand) const;

  const std::string folder_;
  std::string path_;  // empty: not chosen yet
  std::optional<store::Demand> said_;
};

}  // namespace longhaul::gateway
