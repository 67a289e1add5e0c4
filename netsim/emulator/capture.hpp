// Capture: a pcapng file of what the links saw. An interface for each host (each segment as the
// host sent it or was given it, with its direction) and `lost` (with the reason as a comment). A
// thread of its own writes; if the disk cannot keep up, packets are left out and counted, never
// delayed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "netsim/emulator/engine.hpp"
#include "netsim/handle.hpp"

namespace netsim::emulator {

// The file's beginning: section header and interfaces. Then one block per packet. Pure.
longhaul::ByteVector capture_header(const std::vector<std::string>& hosts);
// `wall_ns`: since 1970. Appends to `out`.
void append_capture_block(longhaul::ByteVector& out, const SegmentView& view, std::size_t hosts,
                          std::int64_t wall_ns);

class Capture {
 public:
  static Result<std::unique_ptr<Capture>> create(const std::string& path,
                                                 const std::vector<std::string>& hosts);
  ~Capture();  // writes what waits, then closes
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  void add(const SegmentView& view);  // by the emulator's thread
  std::uint64_t left_out() const { return left_out_; }

 private:
  Capture(Fd file, const std::vector<std::string>& hosts);
  void write_all();

  Fd file_;
  std::size_t hosts_;
  std::int64_t wall_offset_ns_;  // of the wall clock over the emulator's
  std::uint64_t left_out_ = 0;
  std::mutex mutex_;  // guards what follows
  std::condition_variable filled_;
  longhaul::ByteVector waiting_;
  bool ending_ = false;
  std::thread writer_;
};

}  // namespace netsim::emulator
