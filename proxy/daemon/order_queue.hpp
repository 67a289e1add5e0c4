// OrderQueue: orders on the laptop's disk, in the order in which they were given, so that neither a
// reboot nor a day without a network loses one. A command adds, the daemon (or, without one, the
// next command) sees to them; each is a small file of its own, replaced as a whole.
//
//   queue/waiting/NUMBER.json   those that are still to be done
//   queue/done/NUMBER.json      the newest kDoneKept that have ended
//
// Blocks on the disk: for jobs. A file that is no order is left where it is and passed over.
#pragma once

#include <optional>
#include <vector>

#include "lib/store/files.hpp"
#include "proxy/daemon/order.hpp"

namespace longhaul::daemon {

constexpr std::size_t kOrdersWaitingMax = 1000;
constexpr std::size_t kDoneKept = 50;

class OrderQueue {
 public:
  explicit OrderQueue(store::Files& files) : files_(files) {}  // outlives it; rooted at the queue
  // Durable when it returns; gives it its number. kLimit: too many wait, or it is too long.
  Result<Order> add(Order order);
  Result<std::vector<Order>> waiting();  // rising numbers
  Result<std::vector<Order>> done();
  Result<std::optional<Order>> find(std::uint64_t id);
  // Keeps its new state; a final one moves it.
  Result<> keep(const Order& order);

 private:
  Result<std::vector<std::string>> names(const char* folder);
  Result<std::vector<Order>> read(const char* folder);
  Result<> remove_waiting(std::uint64_t number);
  Result<> write(const char* folder, const Order& order);
  store::Files& files_;
};

}  // namespace longhaul::daemon
