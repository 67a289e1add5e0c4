#include <dlfcn.h>

#include "lib/gateway/zmq_calls.hpp"

namespace longhaul::gateway {
namespace {

constexpr const char* kLibrary = "libzmq.so.5";

struct Loaded {
  ZmqCalls calls;
  const char* missing = nullptr;
};

template <class Function>
void find(Loaded& loaded, void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (function == nullptr) loaded.missing = name;
}

Loaded load() {
  Loaded loaded;
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    loaded.missing = kLibrary;
    return loaded;
  }
  ZmqCalls& calls = loaded.calls;
  find(loaded, library, "zmq_ctx_new", calls.ctx_new);
  find(loaded, library, "zmq_ctx_set", calls.ctx_set);
  find(loaded, library, "zmq_ctx_term", calls.ctx_term);
  find(loaded, library, "zmq_socket", calls.socket);
  find(loaded, library, "zmq_close", calls.close);
  find(loaded, library, "zmq_setsockopt", calls.setsockopt);
  find(loaded, library, "zmq_getsockopt", calls.getsockopt);
  find(loaded, library, "zmq_bind", calls.bind);
  find(loaded, library, "zmq_connect", calls.connect);
  find(loaded, library, "zmq_send", calls.send);
  find(loaded, library, "zmq_msg_init", calls.msg_init);
  find(loaded, library, "zmq_msg_recv", calls.msg_recv);
  find(loaded, library, "zmq_msg_close", calls.msg_close);
  find(loaded, library, "zmq_msg_data", calls.msg_data);
  find(loaded, library, "zmq_msg_size", calls.msg_size);
  find(loaded, library, "zmq_msg_gets", calls.msg_gets);
  find(loaded, library, "zmq_poll", calls.poll);
  find(loaded, library, "zmq_socket_monitor", calls.socket_monitor);
  find(loaded, library, "zmq_curve_keypair", calls.curve_keypair);
  find(loaded, library, "zmq_errno", calls.error);
  find(loaded, library, "zmq_strerror", calls.strerror);
  return loaded;
}

}  // namespace

Result<const ZmqCalls*> loaded_zmq() {
  static const Loaded kLoaded = load();
  if (kLoaded.missing == nullptr) return &kLoaded.calls;
  return fail(
      Error(Kind::kUnsupported, "use a gateway", std::string("this host has no ") + kLoaded.missing)
          .advise("install ZeroMQ 4.1 or later: Debian's package is libzmq5; or read below the "
                  "ROOT itself"));
}

}  // namespace longhaul::gateway
