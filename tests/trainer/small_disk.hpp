// A disk that is full once a run's folder `checkpoints` holds so many of them, and perhaps of a
// kind that swaps no names: try_room() and swap_names() of the program that this is linked into are
// told so. Any thread.
//
//   SmallDisk disk(3);     // as long as it lives
//   disk.hold(4);
#pragma once

#include <cstddef>

namespace longhaul::trainer {

class SmallDisk {
 public:
  explicit SmallDisk(std::size_t checkpoints) { hold(checkpoints); }
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  void hold(std::size_t checkpoints);
  void swap_no_names();
};

}  // namespace longhaul::trainer
