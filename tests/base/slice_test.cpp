#include "lib/base/slice.hpp"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(Slice, PartsShareTheBuffer) {
  const Slice whole = Slice::copy_of("headerbody");
  const Slice body = whole.from(6);
  EXPECT_EQ(text_of(body.bytes()), "body");
  EXPECT_EQ(body.data(), whole.data() + 6);
}

TEST(Slice, OutlivesTheWhole) {
  Slice body;
  {
    const Slice whole = Slice::copy_of("headerbody");
    body = whole.part(6, 4);
  }
  EXPECT_EQ(text_of(body.bytes()), "body");
}

TEST(SliceDeathTest, PartBeyondTheEndStops) {
  const Slice whole = Slice::copy_of("abc");
  EXPECT_DEATH(static_cast<void>(whole.part(2, 2)), "bug");
}

TEST(BufferPool, LendsTheSameBlockAgain) {
  BufferPool pool;
  const std::byte* first = nullptr;
  {
    const Slice slice = pool.take(1000).freeze(1000);
    first = slice.data();
    EXPECT_EQ(pool.lent(), 1U);
  }
  EXPECT_EQ(pool.lent(), 0U);
  Buffer again = pool.take(800);
  EXPECT_EQ(again.bytes().data(), first);
  EXPECT_EQ(again.bytes().size(), 1024U);
}

TEST(BufferPool, KeepsNoMoreThanItsBound) {
  BufferPool pool(1024);
  {
    const Buffer a = pool.take(1024);
    const Buffer b = pool.take(1024);
  }
  EXPECT_EQ(pool.lent(), 0U);  // the second went back to the heap; the sanitizer build checks that
}

}  // namespace
}  // namespace longhaul
