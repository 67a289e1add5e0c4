// Star: a TCP connection of every rank to rank 0, for what is not numbers: meeting, addresses, the
// gate, and seeing at once that a process has died. Ranks trust their network, as Gloo and NCCL do:
// nothing here is sealed or proved, so it belongs on a cluster's own network, never on the WAN. A
// host that vanishes is noticed by keep-alives within 30 s. One thread, which is then waiting for a
// sum perhaps: gone() may be asked by any other meanwhile.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "trainer/ranks/message.hpp"
#include "trainer/ranks/place.hpp"

namespace longhaul::trainer {

class Star {
 public:
  struct Heard {
    std::uint64_t rank = 0;
    std::optional<Message> message{};  // none: the rank is gone
  };

  // Blocks until all ranks are here. kTimeout after `patience`, kInterrupted when asked to stop.
  static Result<std::unique_ptr<Star>> join(const RankPlace& place, Duration patience,
                                            const std::function<bool()>& stop_asked);
  ~Star();
  Star(const Star&) = delete;
  Star& operator=(const Star&) = delete;

  // To a rank whose connection is gone: no error, it is heard of by hear(). From others than rank
  // 0, to rank 0 only.
  void send(std::uint64_t rank, const Message& message);
  void send_to_all(const Message& message);  // rank 0
  // The next message; none: nothing came in that time.
  Result<std::optional<Heard>> hear(Duration most);
  // Every rank's text, in the order of ranks, at every rank. kLink: one is gone. kInterrupted when
  // asked to stop meanwhile.
  Result<std::vector<std::string>> exchange(
      const std::string& mine, Duration patience,
      const std::function<bool()>& stop_asked = [] { return false; });
  // Why what all ranks do together cannot end any more, as this one sees it: "rank 2 is gone", or
  // rank 0's last word. None: nobody is gone. Any thread; never blocks, and takes nothing from
  // hear(). Only for who is inside a sum, or whose exchange the others wait for: at other times
  // rank 0 may speak.
  std::optional<std::string> gone() const;
  // When gone() has said something before an exchange: who will not come to it, and why.
  // kInterrupted: a signal to it. Blocks shortly.
  Error who_left();
  // This host's address as the other ranks reach it.
  const std::string& address() const { return address_; }

 private:
  struct Line {  // to one other rank
    int fd = -1;
    std::string in{};
  };
  explicit Star(const RankPlace& place);
  Result<> listen_and_accept(Duration patience, const std::function<bool()>& stop_asked);
  Result<> connect_to_zero(Duration patience, const std::function<bool()>& stop_asked);
  Result<> welcome(int fd);
  void turn_away(Line& line, const std::string& run);
  std::optional<Heard> take_heard(std::uint64_t rank, Result<>& broken);
  void read_from(Line& line);
  void hang_up(Line& line);

  RankPlace place_;
  mutable std::mutex mutex_;  // lines_ from join() on, where they change and where gone() looks
  std::vector<Line> lines_;   // by rank; of others than rank 0 only the first is used
  std::vector<bool> said_gone_;
  std::string turned_away_;  // the run of a rank that was not this run's
  std::string address_;
};

}  // namespace longhaul::trainer
