// ZmqCalls: the functions of libzmq that we use, as a table, because there are two ways to come by
// them. A streamer is linked with libzmq, the static one from its archive (linked_zmq(), in
// zmq_linked.cpp). A training program finds it when it opens a gateway and not before
// (loaded_zmq()): one that reads files needs no ZeroMQ on its host. Nothing outside this folder
// knows ZeroMQ.
#pragma once

#include <zmq.h>

#include "lib/base/result.hpp"

namespace longhaul::gateway {

struct ZmqCalls {
  decltype(&::zmq_ctx_new) ctx_new = nullptr;
  decltype(&::zmq_ctx_set) ctx_set = nullptr;
  decltype(&::zmq_ctx_term) ctx_term = nullptr;
  decltype(&::zmq_socket) socket = nullptr;
  decltype(&::zmq_close) close = nullptr;
  decltype(&::zmq_setsockopt) setsockopt = nullptr;
  decltype(&::zmq_getsockopt) getsockopt = nullptr;
  decltype(&::zmq_bind) bind = nullptr;
  decltype(&::zmq_connect) connect = nullptr;
  decltype(&::zmq_send) send = nullptr;
  decltype(&::zmq_msg_init) msg_init = nullptr;
  decltype(&::zmq_msg_recv) msg_recv = nullptr;
  decltype(&::zmq_msg_close) msg_close = nullptr;
  decltype(&::zmq_msg_data) msg_data = nullptr;
  decltype(&::zmq_msg_size) msg_size = nullptr;
  decltype(&::zmq_msg_gets) msg_gets = nullptr;
  decltype(&::zmq_poll) poll = nullptr;
  decltype(&::zmq_socket_monitor) socket_monitor = nullptr;
  decltype(&::zmq_curve_keypair) curve_keypair = nullptr;
  decltype(&::zmq_errno) error = nullptr;
  decltype(&::zmq_strerror) strerror = nullptr;
};

// kUnsupported: there is no libzmq.so.5 on this host. Never unloaded. Any thread.
Result<const ZmqCalls*> loaded_zmq();
const ZmqCalls* linked_zmq();  // link longhaul_zmq_linked

}  // namespace longhaul::gateway
