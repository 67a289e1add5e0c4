// One message over ipc between two sockets of a statically linked program; exit code 0 when it
// arrives.
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

int main() {
  void* context = zmq_ctx_new();
  void* server = zmq_socket(context, ZMQ_PAIR);
  void* client = zmq_socket(context, ZMQ_PAIR);
  const int patience_ms = 5000;
  zmq_setsockopt(server, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
  const std::string at = "ipc://@longhaul-static-zmq-" + std::to_string(getpid());
  bool arrived = zmq_bind(server, at.c_str()) == 0 && zmq_connect(client, at.c_str()) == 0 &&
                 zmq_send(client, "chunk", 5, 0) == 5;
  std::array<char, 8> heard{};
  arrived = arrived && zmq_recv(server, heard.data(), heard.size(), 0) == 5 &&
            std::string_view(heard.data(), 5) == "chunk";
  zmq_close(client);
  zmq_close(server);
  zmq_ctx_term(context);
  std::printf("%s\n", arrived ? "arrived" : zmq_strerror(zmq_errno()));
  return arrived ? 0 : 1;
}
