#include "lib/gateway/server.hpp"

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "lib/base/escape.hpp"
#include "lib/gateway/zmq_socket.hpp"

namespace longhaul::gateway {
namespace {

constexpr long kLookMs = 250;  // for the end, and for readers that are gone
// Of one socket in turn, so that none is left out while another is busy.
constexpr int kRound = 64;
constexpr const char* kDomain = "longhaul";

// As ZeroMQ's RFC 32 has it; a key is 32 bytes.
std::string z85(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    std::uint32_t value = 0;
    for (std::size_t j = 0; j < 4; ++j)
      value = value << 8 | static_cast<unsigned char>(bytes[i + j]);
    std::array<char, 5> five{};
    for (auto digit = five.rbegin(); digit != five.rend(); ++digit) {
      *digit = kZ85Digits[value % kZ85Digits.size()];
      value /= static_cast<std::uint32_t>(kZ85Digits.size());
    }
    text.append(five.data(), five.size());
  }
  return text;
}

}  // namespace

Result<KeyPair> make_keys(const ZmqCalls& calls) {
  std::array<char, kKeyTextBytes + 1> open{}, secret{};
  if (calls.curve_keypair(open.data(), secret.data()) != 0)
    return fail(Kind::kUnsupported, "make keys for the gateway", "this libzmq has no CURVE");
  return KeyPair{open.data(), secret.data()};
}

Time server_clock() {
  return Time(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// Everything the thread owns.
class GatewayServer::Room {
 public:
  Room(const ZmqCalls& calls, ServerOptions options)
      : options_(std::move(options)),
        desk_(options_.make_site),
        context_(calls),
        judge_(context_, ZMQ_REP),
        readers_(context_, ZMQ_ROUTER) {}
  ~Room() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
  }

  Result<std::string> open() {
    TRY(judge_place());
    TRY(judge_.bind("inproc://zeromq.zap.01"));  // before any CURVE socket listens
    readers_.set(ZMQ_CURVE_SERVER, 1);
    readers_.set(ZMQ_CURVE_SECRETKEY, options_.keys.secret);
    readers_.set(ZMQ_ZAP_DOMAIN, std::string(kDomain));
    readers_.set_wide(ZMQ_MAXMSGSIZE, kQuestionMax);
    readers_.set(ZMQ_HANDSHAKE_IVL, 5000);
    readers_.set(ZMQ_HEARTBEAT_IVL, 5000);
    readers_.set(ZMQ_HEARTBEAT_TIMEOUT, 15000);
    readers_.set(ZMQ_IPV6, 1);
    TRY(readers_.bind(options_.at));
    std::string at = readers_.endpoint();
    read_passes();
    thread_ = std::thread([this] { serve(); });
    return at;
  }

 private:
  void serve() {
    const ZmqCalls& calls = context_.calls();
    while (!ending_) {
      std::array<zmq_pollitem_t, 2> items = {
          {{judge_.get(), 0, ZMQ_POLLIN, 0}, {readers_.get(), 0, ZMQ_POLLIN, 0}}};
      calls.poll(items.data(), static_cast<int>(items.size()), kLookMs);
      const Time now = options_.now();
      if (now - passes_read_ >= kPassesReadEach) read_passes();
      for (int i = 0; i < kRound && judge_one(); ++i) {
      }
      for (int i = 0; i < kRound && answer_one(now); ++i) {
      }
      desk_.forget_idle(now);
    }
  }

  // libzmq removes what stands where its socket shall be.
  Result<> judge_place() const {
    if (!options_.at.starts_with("ipc://")) return {};
    const std::string path = options_.at.substr(6);
    struct stat stat {};
    if (::lstat(path.c_str(), &stat) != 0 || S_ISSOCK(stat.st_mode)) return {};
    return fail(Error(Kind::kExists, "listen at " + printable(options_.at, 200),
                      "something that is no socket stands there")
                    .advise("give another path"));
  }

  void read_passes() {
    passes_read_ = options_.now();
    allowed_.clear();
    for (const Pass& pass : options_.passes->read()) allowed_[pass.our_key] = pass.run;
  }

  // ZAP, ZeroMQ's RFC 27: may the holder of this key come in? False: nobody asked.
  bool judge_one() {
    const auto request = judge_.receive();
    if (!request) return false;
    const auto& frames = request->frames;
    const bool whole =
        frames.size() == 7 && frames[0] == "1.0" && frames[5] == "CURVE" && frames[6].size() == 32;
    const std::string key = whole ? z85(frames[6]) : std::string();
    if (whole && !allowed_.contains(key)) read_passes();  // made just now?
    const bool known = whole && allowed_.contains(key);
    const std::string number = frames.size() > 1 ? frames[1] : std::string();
    judge_.send({bytes_of("1.0"), bytes_of(number), bytes_of(known ? "200" : "400"),
                 bytes_of(known ? "OK" : "no such pass"), bytes_of(key), Bytes()});
    return true;
  }

  bool answer_one(Time now) {
    const auto asked = readers_.receive();
    if (!asked) return false;
    if (asked->frames.size() != 2) return true;
    const std::string& reader = asked->frames[0];
    const Bytes question = bytes_of(asked->frames[1]);
    const bool revoked = !allowed_.contains(asked->user);  // while it was connected
    if (revoked) desk_.forget(reader);
    const ByteVector answer =
        revoked ? refusal_of(question,
                             Error(Kind::kAuth, "read through the gateway", "the pass was revoked"))
                : desk_.answer(now, reader, question);
    readers_.send({bytes_of(reader), answer});
    return true;
  }

  const ServerOptions options_;
  Desk desk_;
  std::map<std::string, std::string> allowed_;  // run, by its reader's key
  Time passes_read_{};
  ZmqContext context_;
  ZmqSocket judge_, readers_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

GatewayServer::GatewayServer(std::unique_ptr<Room> room) : room_(std::move(room)) {}
GatewayServer::~GatewayServer() = default;

Result<std::unique_ptr<GatewayServer>> GatewayServer::start(const ZmqCalls& calls,
                                                            ServerOptions options) {
  TRY(judge_endpoint(options.at));
  auto room = std::make_unique<Room>(calls, std::move(options));
  std::string at = TRY(room->open());
  std::unique_ptr<GatewayServer> server(new GatewayServer(std::move(room)));
  server->at_ = std::move(at);
  return server;
}

}  // namespace longhaul::gateway
