#include "proxy/daemon/order_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace longhaul::daemon {
namespace {

constexpr std::uint32_t kOrderMode = 0600;
constexpr std::size_t kNamesMax = 10'000;
constexpr int kLockTries = 100;
constexpr Duration kLockPause = 20ms;

Result<store::TreeName> name_in(const char* folder, const std::string& file) {
  return TRY(store::TreeName::parse(folder)).child(file);
}

std::string file_of(std::uint64_t number) {
  return fmt::format("{:020}.json", number);
}
std::uint64_t number_of(const std::string& file) {
  std::uint64_t number = 0;
  std::from_chars(file.data(), file.data() + file.size(), number);
  return number;
}

}  // namespace

Result<std::vector<std::string>> OrderQueue::names(const char* folder) {
  const auto name = TRY(store::TreeName::parse(folder));
  TRY(store::make_folders(files_, name));
  const auto opened = TRY(files_.open_folder(name));
  std::vector<std::string> found;
  while (found.size() < kNamesMax) {
    const auto some = TRY(opened->next(256));
    if (some.empty()) break;
    for (const store::Found& one : some)
      if (one.name.ends_with(".json")) found.push_back(one.name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::vector<Order>> OrderQueue::read(const char* folder) {
  std::vector<Order> orders;
  const auto found = TRY(names(folder));
  for (const std::string& file : found) {
    const auto text = store::read_whole(files_, TRY(name_in(folder, file)), kOrderTextMax);
    if (!text) continue;  // it was moved meanwhile
    auto order = parse_order(text_of(*text));
    if (!order) continue;
    order->number = number_of(file);
    orders.push_back(*std::move(order));
  }
  return orders;
}

Result<Order> OrderQueue::add(Order order) {
  if (to_text(order).size() > kOrderGivenMax)
    return fail(Kind::kLimit, "queue the order", "its names and patterns are longer than 56 KiB");
  const auto lock_name = store::TreeName::known("queue.lock");
  auto held = files_.lock(lock_name);
  for (int i = 0; !held && held.error().kind() == Kind::kBusy && i < kLockTries; ++i) {
    files_.pause(kLockPause);
    held = files_.lock(lock_name);
  }
  if (!held) return fail(held.error());
  const auto waiting = TRY(names("waiting"));
  const auto done = TRY(names("done"));
  if (waiting.size() >= kOrdersWaitingMax) {
    return fail(Error(Kind::kLimit, "queue the order", "1000 wait already")
                    .advise("`longhaul proxy status` shows them"));
  }
  order.number = 1;
  for (const auto* list : {&waiting, &done})
    for (const std::string& file : *list)
      order.number = std::max(order.number, number_of(file) + 1);
  TRY(write("waiting", order));
  return order;
}

Result<> OrderQueue::write(const char* folder, const Order& order) {
  Order fits = order;
  fits.text.resize(std::min(fits.text.size(), kOrderNoteMax));
  TRY(store::write_whole(files_, TRY(name_in(folder, file_of(order.number))),
                         bytes_of(to_text(fits)), kOrderMode));
  return files_.sync_folder(store::TreeName());  // where the folder's own name stands
}

Result<std::vector<Order>> OrderQueue::waiting() {
  auto waiting = TRY(read("waiting"));
  const auto done = TRY(names("done"));
  // One that was moved half-way when the power went has ended.
  const auto ended =
      std::stable_partition(waiting.begin(), waiting.end(), [&done](const Order& order) {
        return !std::binary_search(done.begin(), done.end(), file_of(order.number));
      });
  for (auto at = ended; at != waiting.end(); ++at) TRY(remove_waiting(at->number));
  waiting.erase(ended, waiting.end());
  return waiting;
}

Result<> OrderQueue::remove_waiting(std::uint64_t number) {
  const Result<> removed = files_.remove(TRY(name_in("waiting", file_of(number))));
  if (!removed && removed.error().kind() != Kind::kNotFound) return removed;
  return {};
}

Result<std::vector<Order>> OrderQueue::done() {
  return read("done");
}

Result<std::optional<Order>> OrderQueue::find(std::uint64_t id) {
  for (const char* folder : {"waiting", "done"}) {
    const auto orders = TRY(read(folder));
    const auto found =
        std::find_if(orders.begin(), orders.end(), [id](const Order& one) { return one.id == id; });
    if (found != orders.end()) return std::optional(*found);
  }
  return std::optional<Order>();
}

Result<> OrderQueue::keep(const Order& order) {
  const char* folder = is_final(order.state) ? "done" : "waiting";
  TRY(store::make_folders(files_, TRY(store::TreeName::parse(folder))));
  TRY(write(folder, order));
  if (!is_final(order.state)) return {};
  TRY(remove_waiting(order.number));
  const auto done = TRY(names("done"));
  for (std::size_t i = 0; i + kDoneKept < done.size(); ++i)
    TRY(files_.remove(TRY(name_in("done", done[i]))));
  return {};
}

}  // namespace longhaul::daemon
