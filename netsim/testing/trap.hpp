// The trap: while a TrapScope lives on a thread, a call to a real clock, a sleep, real randomness,
// a socket or a wait on file descriptors from that thread ends the program and says which it was. A
// simulated run that does one of these would not repeat. Linking this library replaces the
// functions themselves in the whole program (libstdc++'s and Boost's calls included); without a
// scope they do what they always did.
//
// It sees calls through libc and std::random_device. It cannot see inline system calls or rdtsc.
#pragma once

namespace netsim {

class TrapScope {
 public:
  TrapScope();
  ~TrapScope();
  TrapScope(const TrapScope&) = delete;
  TrapScope& operator=(const TrapScope&) = delete;
};

class TrapPause {  // within a scope: what lies between is the test's own business, e.g. timing it
 public:
  TrapPause();
  ~TrapPause();
  TrapPause(const TrapPause&) = delete;
  TrapPause& operator=(const TrapPause&) = delete;

 private:
  int depth_;
};

bool trap_is_set();

}  // namespace netsim
