// Own limits: what this process may use and leave behind, set once at its start.
#pragma once

#include <cstdint>

namespace longhaul::io {

// A core file would hold keys. Whoever needs one raises the limit again with prlimit(1).
void keep_no_core_files();
// As many descriptors as the system lets it have, at most 65,536; returns how many that is.
std::uint64_t raise_descriptor_limit();

// Few arenas for malloc(): what many threads allocate and free in turns is reused, not kept by
// each.
void keep_few_arenas();
// What is free goes back to the system: malloc() by itself gives back only what lies at an end.
void give_memory_back();

// An allocation that failed where nobody could go on without it (a thread of the pool, a callback
// of a C library) ends the process with a sentence and code 1 instead of a core: what had arrived
// is kept, as after any death of a process. Any other uncaught exception aborts as before.
void say_so_when_memory_ends();
[[noreturn]] void end_without_memory();
// The same for any allocation that fails, at once. For a program that does one thing: thrown
// through coroutines, std::bad_alloc may be lost on the way, and a command would wait for ever. Not
// for one that serves many, who could go on. `new (std::nothrow)` ends it as well.
void end_at_the_first_refused_allocation();
void go_on_after_a_refused_allocation();  // std::bad_alloc, as in any program

}  // namespace longhaul::io
