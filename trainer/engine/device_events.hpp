// What a GPU tells by events, so that nobody waits for it in a step: copies to the host that are
// made beside its work, and how long it worked. On the CPU, where nothing is beside anything, a
// copy is made at once and time is the clock's. The training thread, unless said.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <vector>

#include "trainer/engine/device.hpp"

namespace longhaul::trainer {

// Copies of tensors in pinned memory of the host, made on a stream of their own. Nothing is copied
// on the device: who overwrites the tensors holds that back until the copies are made.
//
//   copy.begin();      // of what they hold once all that was asked for so far is done
//   ..                 // asks for work that reads them
//   copy.hold_back();  // what is asked for from now on comes after the copies
//   ..                 // asks for work that writes them
//   copy.wait();       // then copies() hold them, until the next begin()
class HostCopy {
 public:
  // The tensors are contiguous and share their memory with who writes them.
  HostCopy(const Device& device, std::vector<at::Tensor> originals);
  ~HostCopy();
  HostCopy(const HostCopy&) = delete;
  HostCopy& operator=(const HostCopy&) = delete;

  void begin();
  void hold_back() const;
  void wait() const;  // any thread
  const std::vector<at::Tensor>& copies() const { return copies_; }

 private:
  struct Events;
  std::vector<at::Tensor> originals_, copies_;
  std::unique_ptr<Events> events_;  // null on the CPU
};

// How long a device worked on each step, and how long it had nothing to do between one step's end
// and the next one's first work. At most two steps are begun and not taken.
class DeviceClock {
 public:
  struct Spent {  // seconds
    double busy = 0, idle = 0;
  };
  explicit DeviceClock(const Device& device);
  ~DeviceClock();
  DeviceClock(const DeviceClock&) = delete;
  DeviceClock& operator=(const DeviceClock&) = delete;

  void begin();
  void end();
  void interrupt();  // other work came between: the next step's idle time is not known, and 0
  Spent take();      // of the oldest step not taken, which the device has done

 private:
  enum Edge : std::uint8_t { kBegan, kEnded };
  struct Marks;  // a step's two events
  struct Step {
    std::array<std::chrono::steady_clock::time_point, 2> times;  // of the CPU
    std::unique_ptr<Marks> marks;                                // of a GPU
    bool follows = false;  // nothing but its predecessor came before it
  };
  void mark(Step& step, Edge edge) const;
  static double seconds(const Step& from, Edge left, const Step& to, Edge right);

  const Device& device_;
  std::array<Step, 3> steps_;
  std::size_t begun_ = 0, taken_ = 0;
  bool follows_ = false;
};

}  // namespace longhaul::trainer
