// libzmq and libsodium are not built for ThreadSanitizer, which then takes for a race what their
// threads hand to each other, and to the two calls of ours that copy a message out of and into one.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libzmq.so\n"
         "called_from_lib:libsodium.so\n"
         "race:longhaul::gateway::ZmqSocket::receive\n"
         "race:longhaul::gateway::ZmqSocket::send\n";
}
