#include "netsim/emulator/capture.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <string_view>

namespace netsim::emulator {
namespace {

using longhaul::append;
using longhaul::ByteVector;
using longhaul::fail_errno;

constexpr std::size_t kWaitingMax = 64 << 20;  // bytes; beyond it packets are left out
constexpr std::uint16_t kLinkTypeRaw = 101;    // packets begin with their IP header

template <class Int>
void put(ByteVector& out, Int value) {
  std::array<std::byte, sizeof(Int)> bytes;
  longhaul::store_le(MutableBytes(bytes), value);
  append(out, bytes);
}

void pad(ByteVector& out) {
  out.resize((out.size() + 3) & ~std::size_t{3});
}

void put_option(ByteVector& out, std::uint16_t code, Bytes value) {
  put(out, code);
  put(out, static_cast<std::uint16_t>(value.size()));
  append(out, value);
  pad(out);
}

// A block: type, length, body, length again.
template <class Body>
void put_block(ByteVector& out, std::uint32_t type, Body&& body) {
  const std::size_t begin = out.size();
  put(out, type);
  put(out, std::uint32_t{0});
  body();
  pad(out);
  const auto size = static_cast<std::uint32_t>(out.size() - begin + 4);
  put(out, size);
  longhaul::store_le(MutableBytes(out).subspan(begin + 4), size);
}

void put_interface(ByteVector& out, std::string_view name) {
  put_block(out, 1, [&] {
    put(out, kLinkTypeRaw);
    put(out, std::uint16_t{0});
    put(out, std::uint32_t{0});  // no limit on what is kept of a packet
    put_option(out, 2, longhaul::bytes_of(name));
    const std::byte nanoseconds{9};
    put_option(out, 9, Bytes(&nanoseconds, 1));
    put(out, std::uint32_t{0});  // end of options
  });
}

std::uint32_t interface_of(const SegmentView& view, std::size_t hosts) {
  return static_cast<std::uint32_t>(view.sighting == Sighting::kDropped ? hosts : view.host);
}

}  // namespace

ByteVector capture_header(const std::vector<std::string>& hosts) {
  ByteVector out;
  put_block(out, 0x0A0D0D0A, [&] {
    put(out, std::uint32_t{0x1A2B3C4D});
    put(out, std::uint16_t{1});
    put(out, std::uint16_t{0});
    put(out, ~std::uint64_t{0});  // section length: unknown
    put_option(out, 4, longhaul::bytes_of("netsim"));
    put(out, std::uint32_t{0});
  });
  for (const std::string& name : hosts) put_interface(out, name);
  put_interface(out, "lost");
  return out;
}

void append_capture_block(ByteVector& out, const SegmentView& view, std::size_t hosts,
                          std::int64_t wall_ns) {
  put_block(out, 6, [&] {
    const auto stamp = static_cast<std::uint64_t>(wall_ns);
    const std::uint32_t bytes = view.train.segment_bytes(view.segment);
    put(out, interface_of(view, hosts));
    put(out, static_cast<std::uint32_t>(stamp >> 32));
    put(out, static_cast<std::uint32_t>(stamp));
    put(out, bytes);
    put(out, bytes);
    const std::size_t at = out.size();
    out.resize(at + bytes);
    view.train.write_segment(view.segment, view.ce, MutableBytes(out).subspan(at));
    pad(out);
    if (!view.why.empty()) put_option(out, 1, longhaul::bytes_of(view.why));
    if (view.sighting != Sighting::kDropped) {
      std::array<std::byte, 4> flags{};  // 1: inbound, 2: outbound, as the host sees it
      flags[0] = view.sighting == Sighting::kLeft ? std::byte{1} : std::byte{2};
      put_option(out, 2, flags);
    }
    put(out, std::uint32_t{0});
  });
}

Result<std::unique_ptr<Capture>> Capture::create(const std::string& path,
                                                 const std::vector<std::string>& hosts) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return fail_errno("create " + path, errno);
  return std::unique_ptr<Capture>(new Capture(std::move(file), hosts));
}

Capture::Capture(Fd file, const std::vector<std::string>& hosts)
    : file_(std::move(file)), hosts_(hosts.size()), waiting_(capture_header(hosts)) {
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  const Duration since_1970 = std::chrono::seconds(wall.tv_sec) + Duration(wall.tv_nsec);
  wall_offset_ns_ = (since_1970 - now().time_since_epoch()).count();
  writer_ = std::thread([this] { write_all(); });
}

Capture::~Capture() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  filled_.notify_one();
  writer_.join();
}

void Capture::add(const SegmentView& view) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() > kWaitingMax) {
    ++left_out_;
    return;
  }
  const bool was_empty = waiting_.empty();
  append_capture_block(waiting_, view, hosts_,
                       view.at.time_since_epoch().count() + wall_offset_ns_);
  if (was_empty) filled_.notify_one();
}

void Capture::write_all() {
  for (;;) {
    ByteVector part;
    {
      std::unique_lock lock(mutex_);
      filled_.wait(lock, [this] { return !waiting_.empty() || ending_; });
      if (waiting_.empty()) return;
      part.swap(waiting_);
    }
    for (Bytes left = part; !left.empty();) {
      const ssize_t wrote = ::write(file_.get(), left.data(), left.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) break;  // a full disk: the file ends here
      left = left.subspan(static_cast<std::size_t>(wrote));
    }
  }
}

}  // namespace netsim::emulator
