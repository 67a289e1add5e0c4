#include "proxy/daemon/order.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "proxy/daemon/order_queue.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::daemon {
namespace {

Order steer(std::uint64_t id, const std::string& command = "lr=0.001") {
  Order order;
  order.id = id;
  order.site = "lab";
  order.target = "group/first";
  order.command = command;
  order.made.ns = 5;
  order.expires.ns = 1'000'000'000'000'000'000;
  return order;
}

Order push(std::uint64_t id) {
  Order order;
  order.id = id;
  order.kind = OrderKind::kPush;
  order.site = "lab";
  order.target = "corpus";
  order.source = "/data/a \"b\"\n/c";
  order.files_from = "/data/list";
  order.limit_rate = "1MB/s";
  order.mode = "background";
  order.excludes = {"*.tmp", "a/b", ""};
  order.exclude_from = {"/x"};
  order.tries = 3;
  order.text = "no link";
  return order;
}

Order follow(std::uint64_t id, OrderKind kind = OrderKind::kFollow) {
  Order order;
  order.id = id;
  order.kind = kind;
  order.site = "lab";
  order.target = kind == OrderKind::kFetch ? "group/first@2000" : "group/first";
  order.into = "/data/\\n here";
  order.keep = kind == OrderKind::kFollow ? 3 : 0;
  order.full = kind == OrderKind::kFetch;
  order.full_daily = !order.full;
  order.limit_rate = "4MB/s";
  order.attempt = 2;
  order.step = 2000;
  return order;
}

TEST(Order, ReadsTheSameAsItWasWritten) {
  for (Order order : {steer(~std::uint64_t{0}), push(7), follow(8), follow(9, OrderKind::kFetch)}) {
    for (int state = 0; state <= static_cast<int>(OrderState::kWithdrawn); ++state) {
      order.state = static_cast<OrderState>(state);
      const auto again = parse_order(to_text(order));
      ASSERT_TRUE(again.has_value()) << again.error().message();
      EXPECT_EQ(*again, order);
    }
  }
}

TEST(Order, OfAnOlderVersionHasNoMode) {
  Order order = push(7);
  std::string text = to_text(order);
  const std::string mode = ",\"mode\":\"background\"";
  ASSERT_NE(text.find(mode), std::string::npos) << text;
  text.erase(text.find(mode), mode.size());
  order.mode.clear();
  const auto again = parse_order(text);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, order);
}

TEST(Order, IsRefusedWhenAnythingIsMissing) {
  const std::string whole = to_text(steer(3));
  for (std::size_t cut = 0; cut < whole.size(); ++cut)
    EXPECT_FALSE(parse_order(whole.substr(0, cut)).has_value()) << cut;
}

TEST(Order, SaysWhatIsMissing) {
  const auto why = [](const std::string& text) {
    const auto order = parse_order(text);
    if (order) return std::string("taken");
    EXPECT_EQ(order.error().attempt(), "read an order");
    return order.error().why();
  };
  const auto without = [](Order order, auto change) {
    change(order);
    return to_text(order);
  };
  EXPECT_EQ(why(to_text(steer(0))), "it has no id");
  EXPECT_EQ(why(without(steer(1), [](Order& o) { o.site.clear(); })), "it names no place");
  EXPECT_EQ(why(without(steer(1), [](Order& o) { o.target.clear(); })), "it names no place");
  EXPECT_EQ(why(without(steer(1), [](Order& o) { o.command.clear(); })), "it names no command");
  EXPECT_EQ(why(without(push(1), [](Order& o) { o.source = "data"; })), "it names no source");
  EXPECT_EQ(why(without(follow(1), [](Order& o) { o.into = "here"; })), "it names no folder");
  EXPECT_EQ(why(R"({"id":1,"kind":"dance"})"), "it is of no known kind");
  EXPECT_EQ(why(R"({"id":1,"kind":"push","site":"a","target":"b","state":"lost"})"),
            "it is in no known state");
  EXPECT_EQ(why(std::string(kOrderTextMax + 1, ' ')), "it is too long");
}

TEST(OrderQueue, KeepsTheOrderInWhichTheyWereGivenAndMovesWhatHasEnded) {
  sim::CrashFiles disk;
  OrderQueue queue(disk);
  for (std::uint64_t id = 1; id <= 12; ++id) ASSERT_EQ(queue.add(steer(id))->number, id);
  auto waiting = queue.waiting().value();
  ASSERT_EQ(waiting.size(), 12U);
  for (std::uint64_t id = 1; id <= 12; ++id) EXPECT_EQ(waiting[id - 1].id, id);
  waiting[4].state = OrderState::kReceived;
  ASSERT_TRUE(queue.keep(waiting[4]).has_value());
  waiting[11].state = OrderState::kApplied;
  waiting[11].step = 77;
  ASSERT_TRUE(queue.keep(waiting[11]).has_value());
  EXPECT_EQ(queue.waiting()->size(), 11U);
  EXPECT_EQ(queue.done()->at(0).step, 77U);
  EXPECT_EQ(queue.find(5)->value().state, OrderState::kReceived);
  EXPECT_EQ(queue.find(12)->value().state, OrderState::kApplied);
  EXPECT_FALSE(queue.find(99)->has_value());
  // A number is never given twice, also when the last one has ended.
  EXPECT_EQ(queue.add(steer(50))->number, 13U);
}

TEST(OrderQueue, ForgetsOldOnesThatHaveEnded) {
  sim::CrashFiles disk;
  OrderQueue queue(disk);
  for (std::uint64_t id = 1; id <= kDoneKept + 5; ++id) {
    Order order = queue.add(steer(id)).value();
    order.state = OrderState::kExpired;
    ASSERT_TRUE(queue.keep(order).has_value());
  }
  const auto done = queue.done().value();
  ASSERT_EQ(done.size(), kDoneKept);
  EXPECT_EQ(done.front().id, 6U);
}

TEST(OrderQueue, LosesNoneThatItTookWhateverIsSaidOfIt) {
  sim::CrashFiles disk;
  OrderQueue queue(disk);
  Order longest = push(1);
  longest.text.clear();
  longest.excludes = {""};
  longest.excludes[0] = std::string(kOrderGivenMax - to_text(longest).size(), 'x');
  Order taken = queue.add(longest).value();
  taken.state = OrderState::kRunning;
  taken.tries = ~std::uint32_t{0};
  taken.attempt = ~std::uint32_t{0};
  taken.step = ~std::uint64_t{0};
  taken.text = std::string(100'000, '\x01');
  ASSERT_TRUE(queue.keep(taken).has_value());
  ASSERT_EQ(queue.waiting()->size(), 1U);
  EXPECT_EQ(queue.waiting()->front().text, taken.text.substr(0, kOrderNoteMax));
  longest.excludes[0] += "x";
  const auto refused = queue.add(longest);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message(),
            "queue the order: its names and patterns are longer than 56 KiB");
}

TEST(OrderQueue, TakesNoMoreThanAThousand) {
  sim::CrashFiles disk;
  OrderQueue queue(disk);
  const std::string text = to_text(steer(1));
  ASSERT_TRUE(queue.add(steer(1)).has_value());
  for (std::size_t i = 2; i <= kOrdersWaitingMax; ++i) {
    const auto name = store::TreeName::known(fmt::format("waiting/{:020}.json", i));
    ASSERT_TRUE(store::write_whole(disk, name, bytes_of(text)).has_value());
  }
  const auto refused = queue.add(steer(2));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message(), "queue the order: 1000 wait already");
  EXPECT_EQ(refused.error().advice(), "`longhaul proxy status` shows them");
}

TEST(OrderQueue, IsDurableOnceAddHasReturned) {
  sim::CrashFiles disk;
  ASSERT_TRUE(OrderQueue(disk).add(push(9)).has_value());
  disk.lose_power(sim::CrashFiles::Keep::none());
  const auto waiting = OrderQueue(disk).waiting();
  ASSERT_TRUE(waiting.has_value());
  ASSERT_EQ(waiting->size(), 1U);
  EXPECT_EQ(waiting->front().id, 9U);
}

TEST(OrderQueue, TakesOneThatWasMovedHalfWayForEnded) {
  sim::CrashFiles disk;
  OrderQueue queue(disk);
  Order order = queue.add(steer(1)).value();
  const std::string text = to_text(order);
  order.state = OrderState::kApplied;
  ASSERT_TRUE(queue.keep(order).has_value());
  const auto name = store::TreeName::known("waiting/00000000000000000001.json");
  ASSERT_TRUE(store::write_whole(disk, name, bytes_of(text)).has_value());
  EXPECT_TRUE(OrderQueue(disk).waiting()->empty());
  EXPECT_FALSE(disk.stat(name).has_value());
  EXPECT_EQ(queue.done()->size(), 1U);
}

TEST(OrderQueue, PassesOverWhatIsNoOrder) {
  sim::CrashFiles disk;
  OrderQueue queue(disk);
  ASSERT_TRUE(queue.add(steer(1)).has_value());
  ASSERT_TRUE(store::write_whole(disk, store::TreeName::known("waiting/00000000000000000002.json"),
                                 bytes_of("{\"id\":"))
                  .has_value());
  EXPECT_EQ(queue.waiting()->size(), 1U);
  EXPECT_EQ(queue.add(steer(3))->number, 3U);
}

}  // namespace
}  // namespace longhaul::daemon
