// out_of_memory: an allocation that was refused somewhere else than in `new`, a C library say, ends
// as one in `new` does: the handler of std::set_new_handler() is asked first, then std::bad_alloc
// is thrown.
#pragma once

#include <new>

namespace longhaul {

[[noreturn]] inline void out_of_memory() {
  if (const std::new_handler handler = std::get_new_handler(); handler != nullptr) handler();
  throw std::bad_alloc();
}

}  // namespace longhaul
