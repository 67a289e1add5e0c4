// Replay: the same launches again and again. On a GPU they are recorded once, as a CUDA graph, and
// from then on asked for as one: a step that makes one token is a hundred launches and more of a
// few microseconds each, which the host could not ask for one by one as fast as they run. Sizes and
// places are those of the recording, so what they read and write must stay where it is; what they
// make between is the recording's own. On the CPU they are done each time.
#pragma once

#include <functional>
#include <memory>

#include "trainer/engine/device.hpp"

namespace longhaul::trainer {

class Replay {
 public:
  // `records` false: a GPU too is asked for each launch, each time.
  Replay(const Device& device, bool records);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
  // The first call of a recording runs the launches twice: doing them again must change nothing.
  void go(const std::function<void()>& launches);

 private:
  struct Recording;
  const Device device_;
  bool records_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace longhaul::trainer
