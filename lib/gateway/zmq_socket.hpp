// A context and sockets of libzmq that close themselves. Linger, high-water marks and the largest
// message are always set. A socket is used by one thread, the one that made it.
#pragma once

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/units.hpp"
#include "lib/gateway/zmq_calls.hpp"

namespace longhaul::gateway {

class ZmqContext {
 public:
  explicit ZmqContext(const ZmqCalls& calls) : calls_(calls), context_(calls.ctx_new()) {
    ASSERT(context_ != nullptr);
    calls_.ctx_set(context_, ZMQ_BLOCKY, 0);
  }
  ~ZmqContext() { calls_.ctx_term(context_); }
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;
  const ZmqCalls& calls() const { return calls_; }
  void* get() const { return context_; }

 private:
  const ZmqCalls& calls_;
  void* const context_;
};

class ZmqSocket {
 public:
  ZmqSocket(ZmqContext& context, int type) : calls_(context.calls()) {
    socket_ = calls_.socket(context.get(), type);
    ASSERT(socket_ != nullptr);
    set(ZMQ_LINGER, 0);
    set(ZMQ_SNDHWM, kQueued);
    set(ZMQ_RCVHWM, kQueued);
  }
  ~ZmqSocket() { calls_.close(socket_); }
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  void* get() const { return socket_; }
  void set(int option, int value) {
    ASSERT(calls_.setsockopt(socket_, option, &value, sizeof value) == 0);
  }
  void set_wide(int option, std::int64_t value) {
    ASSERT(calls_.setsockopt(socket_, option, &value, sizeof value) == 0);
  }
  void set(int option, const std::string& text) {
    ASSERT(calls_.setsockopt(socket_, option, text.data(), text.size()) == 0);
  }
  // kUsage or what the kernel said.
  Result<> bind(const std::string& endpoint) {
    if (calls_.bind(socket_, endpoint.c_str()) == 0) return {};
    return failed("listen at " + endpoint);
  }
  Result<> connect(const std::string& endpoint) {
    if (calls_.connect(socket_, endpoint.c_str()) == 0) return {};
    return failed("reach " + endpoint);
  }
  std::string endpoint() const {
    std::string text(512, '\0');
    std::size_t size = text.size();
    if (calls_.getsockopt(socket_, ZMQ_LAST_ENDPOINT, text.data(), &size) != 0) return {};
    text.resize(size > 0 ? size - 1 : 0);  // with its NUL
    return text;
  }

  // Never waits. False: the queue is full, or nobody is there.
  bool send(const std::vector<Bytes>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      if (calls_.send(socket_, frames[i].data(), frames[i].size(), ZMQ_DONTWAIT | more) < 0)
        return false;
    }
    return true;
  }
  struct Received {
    std::vector<std::string> frames;
    std::string user;  // who the handshake knew; empty without one
  };
  // Never waits. nullopt: nothing is there.
  std::optional<Received> receive() {
    Received out;
    for (bool more = true; more;) {
      zmq_msg_t message;
      calls_.msg_init(&message);
      if (calls_.msg_recv(&message, socket_, ZMQ_DONTWAIT) < 0) {
        calls_.msg_close(&message);
        return std::nullopt;
      }
      out.frames.emplace_back(static_cast<const char*>(calls_.msg_data(&message)),
                              calls_.msg_size(&message));
      if (const char* user = calls_.msg_gets(&message, "User-Id")) out.user = user;
      int flag = 0;
      std::size_t size = sizeof flag;
      more = calls_.getsockopt(socket_, ZMQ_RCVMORE, &flag, &size) == 0 && flag != 0;
      calls_.msg_close(&message);
    }
    return out;
  }

 private:
  static constexpr int kQueued = 64;  // messages
  tl::unexpected<Error> failed(const std::string& attempt) const {
    const int code = calls_.error();
    if (code == EADDRINUSE) return fail(Kind::kBusy, attempt, "another process listens there");
    if (code < ZMQ_HAUSNUMERO) return fail_errno(attempt, code);
    return fail(Kind::kUsage, attempt, std::string(calls_.strerror(code)));
  }
  const ZmqCalls& calls_;
  void* socket_ = nullptr;
};

}  // namespace longhaul::gateway
