// Gate: rank 0's view of who holds the batch of which step. A step begins when all do: a rank that
// waits for data keeps the others at the gate, which may take hours and harms nothing, instead of
// inside a collective, where it would look like a dead one. Pure; the training thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "lib/base/error.hpp"
#include "trainer/ranks/message.hpp"

namespace longhaul::trainer {

class Gate {
 public:
  explicit Gate(std::uint64_t ranks) : ranks_(ranks) {}
  void on_message(std::uint64_t rank, const Message& message);
  void on_gone(std::uint64_t rank);
  bool holds(std::uint64_t rank, std::uint64_t step) const;  // that step's batch
  // Every other rank holds the batch of `step`.
  bool open(std::uint64_t step) const;
  bool stop_asked() const { return stop_; }  // by a signal to any of them
  const std::optional<Error>& lost() const { return lost_; }
  std::string waits_for(std::uint64_t step) const;  // "rank 2: chunk 7 of ..", for people

 private:
  struct Seen {
    std::optional<std::uint64_t> ready;  // the newest step whose batch it holds
    std::string waits;
    bool failed = false;
  };
  std::uint64_t ranks_;
  std::map<std::uint64_t, Seen> seen_;
  bool stop_ = false;
  std::optional<Error> lost_;
  bool second_hand_ =
      false;  // it is a link's end as another rank saw it: who died is still to come
};

}  // namespace longhaul::trainer
