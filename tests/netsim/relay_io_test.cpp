// The relay on loopback sockets. Times are only bounded from below, so a busy machine fails
// nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "netsim/relay/relay.hpp"

namespace netsim::relay {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using testing::HasSubstr;

constexpr int kPatience_ms = 10'000;

bool wait_for(int fd, short what) {
  pollfd p{fd, what, 0};
  return poll(&p, 1, kPatience_ms) == 1;
}

class RelayIo : public testing::Test {
 protected:
  void start(std::initializer_list<const char*> words, bool with_control = false) {
    server_ = *listen_stream(*parse_address("127.0.0.1:0"));
    const Address address = *local_address(server_);
    datagrams_ = *bind_datagram(address);
    std::vector<Assignment> all;
    for (const char* word : words) all.push_back(*parse_assignment(word));
    RelayOptions options;
    options.listen = "127.0.0.1:0";
    options.to = to_text(address);
    options.config = *with(RelayConfig{}, all);
    if (with_control) options.control = control_path();
    auto relay = Relay::open(options);
    ASSERT_TRUE(relay) << relay.error().message();
    relay_ = *std::move(relay);
    at_ = relay_->listening_on();
    stop_ = Fd(eventfd(0, EFD_NONBLOCK));
    thread_ = std::thread([this] { EXPECT_TRUE(relay_->run(stop_)); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    EXPECT_EQ(write(stop_.get(), &one, sizeof one), 8);
    thread_.join();
  }
  void TearDown() override { stop(); }
  static std::string control_path() {
    return "unix:" + testing::TempDir() + "relay-control-" + std::to_string(::getpid());
  }

  Fd connect_client() {
    Fd client = *dial_stream(at_);
    EXPECT_TRUE(wait_for(client.get(), POLLOUT));
    return client;
  }
  Fd accept_server() {
    EXPECT_TRUE(wait_for(server_.get(), POLLIN));
    return Fd(accept4(server_.get(), nullptr, nullptr, SOCK_NONBLOCK));
  }
  static void put(const Fd& fd, const std::string& text) {
    std::size_t done = 0;
    while (done < text.size() && wait_for(fd.get(), POLLOUT)) {
      const ssize_t n = send(fd.get(), text.data() + done, text.size() - done, MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN) break;
      if (n > 0) done += static_cast<std::size_t>(n);
    }
    EXPECT_EQ(done, text.size());
  }
  // Until `bytes` have come, or the end, or a reset ("RST" is then the last of it).
  static std::string get(const Fd& fd, std::size_t bytes) {
    std::string out;
    char buffer[65'536];
    while (out.size() < bytes && wait_for(fd.get(), POLLIN)) {
      const ssize_t n = recv(fd.get(), buffer, std::min(sizeof buffer, bytes - out.size()), 0);
      if (n == 0) return out + "EOF";
      if (n < 0 && errno == EAGAIN) continue;
      if (n < 0) return out + (errno == ECONNRESET ? "RST" : "ERROR");
      out.append(buffer, static_cast<std::size_t>(n));
    }
    return out;
  }

  Fd server_, datagrams_, stop_;
  std::unique_ptr<Relay> relay_;
  Address at_;
  std::thread thread_;
};

TEST_F(RelayIo, CarriesAStreamBothWaysUnchanged) {
  start({});
  const Fd client = connect_client();
  const Fd server = accept_server();
  std::string big(8 << 20, 'x');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 + i / 977);
  std::thread writer([&] { put(client, big); });
  EXPECT_TRUE(get(server, big.size()) == big);
  writer.join();
  put(server, "answer");
  EXPECT_EQ(get(client, 6), "answer");
}

TEST_F(RelayIo, CarriesAStreamThroughLossRateAndDelayUnchanged) {
  start({"rtt=20ms", "loss=2%", "rate=50mbit", "queue=2bdp"});
  const Fd client = connect_client();
  std::string big(1 << 20, 'x');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 + i / 977);
  std::thread writer([&] { put(client, big); });
  const Fd server = accept_server();
  EXPECT_TRUE(get(server, big.size()) == big);
  writer.join();
}

TEST_F(RelayIo, DelaysByTheRoundTripAndTheHandshake) {
  start({"rtt=80ms"});
  const auto from = Clock::now();
  const Fd client = connect_client();
  put(client, "ping");
  const Fd server = accept_server();
  EXPECT_EQ(get(server, 4), "ping");
  EXPECT_GE(Clock::now() - from, 120ms);  // a round trip of handshake, then one way
  const auto answered = Clock::now();
  put(server, "pong");
  EXPECT_EQ(get(client, 4), "pong");
  EXPECT_GE(Clock::now() - answered, 40ms);
}

TEST_F(RelayIo, PassesEndsOnOneByOne) {
  start({});
  const Fd client = connect_client();
  const Fd server = accept_server();
  put(client, "last");
  shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(get(server, 100), "lastEOF");
  put(server, "still open");
  EXPECT_EQ(get(client, 10), "still open");
}

TEST_F(RelayIo, PassesAResetOn) {
  start({"rtt=2ms"});
  Fd client = connect_client();
  const Fd server = accept_server();
  put(client, "x");
  EXPECT_EQ(get(server, 1), "x");
  close_with_reset(client);
  EXPECT_EQ(get(server, 1), "RST");
}

TEST_F(RelayIo, ARefusedServerResetsTheClient) {
  start({"rtt=2ms"});
  server_.reset();
  const Fd client = connect_client();
  EXPECT_EQ(get(client, 1), "RST");
}

TEST_F(RelayIo, LimitsResetAtTheByte) {
  start({"up.limit=1000B,reset"});
  const Fd client = connect_client();
  const Fd server = accept_server();
  put(client, std::string(5000, 'y'));
  const std::string got = get(server, 5000);
  EXPECT_THAT(got, HasSubstr("RST"));
  EXPECT_LE(got.size(), 1003U);
  EXPECT_EQ(get(client, 1), "RST");
}

TEST_F(RelayIo, SlicesOneByteAtATime) {
  start({"up.slice=1B/1ms"});
  const Fd client = connect_client();
  const Fd server = accept_server();
  const auto from = Clock::now();
  put(client, "0123456789");
  EXPECT_EQ(get(server, 10), "0123456789");
  EXPECT_GE(Clock::now() - from, 9ms);
}

TEST_F(RelayIo, ABlackholeLetsNothingThrough) {
  start({"up.blackhole=yes"});
  const Fd client = connect_client();
  const Fd server = accept_server();
  put(client, "lost");
  put(server, "through");
  EXPECT_EQ(get(client, 7), "through");
  pollfd p{server.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 50), 0);
}

TEST_F(RelayIo, CountsDatagramLossAndCarriesTheRest) {
  start({"up.loss=nth:4"});
  const Fd client = *dial_datagram(at_);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(send(client.get(), &i, sizeof i, 0), 4);
    int got = -1;
    Address from;
    from.length = sizeof from.storage;
    if (i % 4 == 3) continue;
    ASSERT_TRUE(wait_for(datagrams_.get(), POLLIN));
    ASSERT_EQ(recvfrom(datagrams_.get(), &got, sizeof got, 0, from.get(), &from.length), 4);
    EXPECT_EQ(got, i);
    ASSERT_EQ(sendto(datagrams_.get(), &got, sizeof got, 0, from.get(), from.length), 4);
    ASSERT_TRUE(wait_for(client.get(), POLLIN));
    ASSERT_EQ(recv(client.get(), &got, sizeof got, 0), 4);
    EXPECT_EQ(got, i);
  }
  stop();
  EXPECT_THAT(relay_->summary(), HasSubstr(R"("datagrams":{"up":100,"down":75})"));
  EXPECT_THAT(relay_->summary(), HasSubstr(R"("datagrams_lost":{"up":25,"down":0})"));
}

TEST_F(RelayIo, TakesLiveChangesOverItsControlSocket) {
  start({}, true);
  struct stat file {};
  ASSERT_EQ(::stat(control_path().substr(5).c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);  // whoever can connect can command
  const Fd control = *dial_stream(*parse_address(control_path()));
  const auto ask = [&](const std::string& line) {
    put(control, line + "\n");
    std::string reply;
    while (reply.empty() || reply.back() != '\n') {
      const std::string more = get(control, 1);
      if (more.size() != 1) return reply + more;
      reply += more;
    }
    return reply;
  };
  EXPECT_THAT(ask(R"({"set":{"rtt":"60ms"}})"), HasSubstr(R"("delay":"30ms")"));
  EXPECT_THAT(ask(R"({"set":{"loss":"-1%"}})"), HasSubstr(R"("ok":false)"));
  EXPECT_THAT(ask(R"({"get":"config"})"), HasSubstr(R"("delay":"30ms")"));
  EXPECT_THAT(ask(R"({"do":"explode"})"), HasSubstr("half-close up|down"));
  const Fd client = connect_client();
  const Fd server = accept_server();
  EXPECT_THAT(ask(R"({"do":"half-close up"})"), HasSubstr(R"("ok":true)"));
  EXPECT_EQ(get(server, 1), "EOF");
  EXPECT_THAT(ask(R"({"do":"down"})"), HasSubstr(R"("ok":true)"));
  EXPECT_EQ(get(client, 1), "RST");
  const auto refused = dial_stream(at_);
  EXPECT_TRUE(!refused || pending_error(*refused) == ECONNREFUSED);
  EXPECT_THAT(ask(R"({"do":"up"})"), HasSubstr(R"("ok":true)"));
  connect_client();
}

TEST_F(RelayIo, ManyConnectionsComeAndGoWithoutAResidue) {
  start({"rtt=1ms"});
  for (int i = 0; i < 200; ++i) {
    const Fd client = connect_client();
    const Fd server = accept_server();
    put(client, "a");
    EXPECT_EQ(get(server, 1), "a");
    shutdown(client.get(), SHUT_WR);
    shutdown(server.get(), SHUT_WR);
    EXPECT_EQ(get(client, 1), "EOF");
    EXPECT_EQ(get(server, 1), "EOF");
  }
  stop();
  EXPECT_THAT(relay_->summary(), HasSubstr(R"("total":200,"open":0)"));
}

}  // namespace
}  // namespace netsim::relay
