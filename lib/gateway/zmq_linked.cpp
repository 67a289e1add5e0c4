#include "lib/gateway/zmq_calls.hpp"

namespace longhaul::gateway {

const ZmqCalls* linked_zmq() {
  static const ZmqCalls kCalls = {&::zmq_ctx_new,       &::zmq_ctx_set,  &::zmq_ctx_term,
                                  &::zmq_socket,        &::zmq_close,    &::zmq_setsockopt,
                                  &::zmq_getsockopt,    &::zmq_bind,     &::zmq_connect,
                                  &::zmq_send,          &::zmq_msg_init, &::zmq_msg_recv,
                                  &::zmq_msg_close,     &::zmq_msg_data, &::zmq_msg_size,
                                  &::zmq_msg_gets,      &::zmq_poll,     &::zmq_socket_monitor,
                                  &::zmq_curve_keypair, &::zmq_errno,    &::zmq_strerror};
  return &kCalls;
}

}  // namespace longhaul::gateway
