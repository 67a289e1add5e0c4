// Load: what a Channel carries, as its owner provides it; and Packing, a packet being filled.
#pragma once

#include <span>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/datagram/recovery.hpp"
#include "lib/wire/cursor.hpp"

namespace longhaul::datagram {

class Packing {
 public:
  // out: room for frames. full_bytes: the room that an empty packet of full size has.
  Packing(MutableBytes out, std::size_t full_bytes, std::vector<Item>& items)
      : out_(out), full_bytes_(full_bytes), items_(items) {}

  std::size_t room() const { return out_.size() - used_; }
  // More than room(): this packet must not be larger than those before it in its batch. What would
  // fit an empty one but not this one waits for the next.
  std::size_t full_room() const { return full_bytes_; }
  std::size_t used() const { return used_; }
  bool quiet() const { return quiet_; }  // nothing in it asks for an acknowledgement

  // A frame of `bytes`, which must fit; `body` writes exactly as many.
  template <class Body>
  void frame(std::size_t bytes, Body&& body) {
    ASSERT(bytes <= room());
    wire::Writer writer(out_.subspan(used_, bytes));
    body(writer);
    ASSERT(writer.size() == bytes);
    used_ += bytes;
  }
  void carry(const Item& item) {
    items_.push_back(item);
    quiet_ = false;
  }
  void elicit() { quiet_ = false; }
  void pad(std::size_t bytes) {  // with zeros, up to so many bytes used
    while (used_ < bytes && used_ < out_.size()) out_[used_++] = std::byte{0};
  }

 private:
  MutableBytes out_;
  std::size_t full_bytes_, used_ = 0;
  std::vector<Item>& items_;
  bool quiet_ = true;
};

class Load : public ItemSink {
 public:
  // Whether fill() would write something now. urgent: only what may overtake a full window.
  virtual bool has(Time now, bool urgent) const = 0;
  // When has() may become true by time alone.
  virtual std::optional<Time> next_at(Time now) const = 0;
  // Frames for one packet, most urgent first, each with the Item by which its fate is told. Writing
  // nothing ends the batch.
  virtual void fill(Time now, Packing& packet, bool urgent) = 0;
  // The frame of an Item again, as it was, into an empty packet; false if it does not fit now or
  // need not go any more.
  virtual bool refill(const Item& item, Packing& packet) = 0;
  // What should stand beside an acknowledgement (a window), in frames that ask for none.
  virtual void accompany(Packing& packet) = 0;
  // A frame of the owner's from the peer, behind its type. Reads exactly its fields; an error, or a
  // reader that fails, ends the session: the peer, whose key is known, breaks the protocol.
  virtual Result<> on_frame(Time now, std::uint8_t type, wire::Reader& in) = 0;
};

}  // namespace longhaul::datagram
