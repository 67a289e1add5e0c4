// The relay beside a plain pass-through (socat, if installed) on loopback: throughput per core of
// the proxy, added latency, rate error. One JSON line on stdout.
//   bench_netsim_relay [--seconds S]
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "netsim/relay/relay.hpp"

namespace {

using namespace netsim;
using namespace netsim::relay;
using Clock = std::chrono::steady_clock;
using longhaul::Result;

constexpr std::size_t kBlock = 256U << 10;

double seconds_since(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}
double seconds_of(timespec t) {
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void set_blocking(const Fd& fd) {
  timeval limit{10, 0};
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  (void)fcntl(fd.get(), F_SETFL, 0);
}
bool wait_for(const Fd& fd, short what) {
  pollfd p{fd.get(), what, 0};
  return poll(&p, 1, 10'000) == 1;
}

class RelayThread {
 public:
  RelayThread(const std::string& to, std::initializer_list<const char*> words)
      : stop_(eventfd(0, 0)) {
    std::vector<Assignment> all;
    for (const char* word : words) all.push_back(*parse_assignment(word));
    RelayOptions options;
    options.listen = "127.0.0.1:0";
    options.to = to;
    options.config = *with(RelayConfig{}, all);
    options.udp = false;
    relay_ = *Relay::open(options);
    thread_ = std::thread([this] { (void)relay_->run(stop_); });
  }
  ~RelayThread() {
    const std::uint64_t one = 1;
    if (write(stop_.get(), &one, sizeof one) == 8) thread_.join();
  }
  Address address() const { return relay_->listening_on(); }
  double cpu_seconds() {
    clockid_t clock{};
    timespec t{};
    pthread_getcpuclockid(thread_.native_handle(), &clock);
    clock_gettime(clock, &t);
    return seconds_of(t);
  }

 private:
  Fd stop_;
  std::unique_ptr<Relay> relay_;
  std::thread thread_;
};

struct Pair {
  Fd client, server;
};
Pair connect_through(const Address& proxy, const Fd& listener) {
  Pair out;
  out.client = *dial_stream(proxy);
  if (!wait_for(out.client, POLLOUT) || !wait_for(listener, POLLIN)) std::abort();
  out.server = Fd(accept4(listener.get(), nullptr, nullptr, 0));
  set_blocking(out.client);
  set_blocking(out.server);
  return out;
}

// Bytes that reach the server in `span` seconds after `settle` seconds.
double stream(Pair& pair, double settle, double span) {
  std::thread sender([&] {
    const std::vector<char> block(kBlock, 'x');
    while (send(pair.client.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  std::vector<char> block(kBlock);
  double counted = 0;
  const auto from = Clock::now();
  for (double t = 0; t < settle + span; t = seconds_since(from)) {
    const ssize_t got = recv(pair.server.get(), block.data(), block.size(), 0);
    if (got <= 0) break;
    if (t >= settle) counted += static_cast<double>(got);
  }
  shutdown(pair.server.get(), SHUT_RDWR);
  shutdown(pair.client.get(), SHUT_RDWR);
  sender.join();
  return counted;
}

double median_round_trip_us(Pair& pair) {
  std::vector<double> all;
  char byte = 'p';
  std::thread echo([&] {
    char c = 0;
    while (recv(pair.server.get(), &c, 1, 0) == 1)
      (void)send(pair.server.get(), &c, 1, MSG_NOSIGNAL);
  });
  for (int i = 0; i < 5000; ++i) {
    const auto from = Clock::now();
    if (send(pair.client.get(), &byte, 1, 0) != 1 || recv(pair.client.get(), &byte, 1, 0) != 1)
      break;
    all.push_back(1e6 * seconds_since(from));
  }
  shutdown(pair.client.get(), SHUT_RDWR);
  shutdown(pair.server.get(), SHUT_RDWR);
  echo.join();
  if (all.empty()) return -1;
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2),
                   all.end());
  return all[all.size() / 2];
}

struct Throughput {
  double gbit = 0, gbit_per_core = 0;
};

Throughput relay_throughput(const Fd& listener, const std::string& to, double span) {
  RelayThread relay(to, {});
  Pair pair = connect_through(relay.address(), listener);
  const double cpu = relay.cpu_seconds();
  const double bytes = stream(pair, 0, span);
  const double used = relay.cpu_seconds() - cpu;
  return {bytes * 8e-9 / span, bytes * 8e-9 / used};
}

std::optional<Throughput> socat_throughput(const Fd& listener, const std::string& to, double span) {
  if (std::system("command -v socat >/dev/null 2>&1") != 0) return std::nullopt;
  Fd probe = *listen_stream(*parse_address("127.0.0.1:0"));
  const Address proxy = *local_address(probe);
  probe.reset();  // its port is free again for socat
  const std::string port = to_text(proxy).substr(10);
  const pid_t child = fork();
  if (child == 0) {
    const std::string listen_word = "TCP-LISTEN:" + port + ",bind=127.0.0.1,reuseaddr";
    const std::string to_word = "TCP:" + to;
    execlp("socat", "socat", "-b262144", listen_word.c_str(), to_word.c_str(), nullptr);
    _exit(127);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  Pair pair = connect_through(proxy, listener);
  const double bytes = stream(pair, 0, span);
  pair = Pair{};
  rusage used{};
  int status = 0;
  wait4(child, &status, 0, &used);
  const auto of = [](timeval t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return Throughput{bytes * 8e-9 / span, bytes * 8e-9 / (of(used.ru_utime) + of(used.ru_stime))};
}

double rate_error_percent(const Fd& listener, const std::string& to, double mbit, double span) {
  const std::string rate = fmt::format("rate={}mbit", mbit);
  RelayThread relay(to, {rate.c_str(), "rtt=2ms", "queue=20ms"});
  Pair pair = connect_through(relay.address(), listener);
  const double goodput = stream(pair, 0.5, span) / span;
  return 100 * (goodput * 1500 / 1448 / (mbit * 125e3) - 1);
}

}  // namespace

int main(int argc, char** argv) {
  const double span = argc == 3 && std::strcmp(argv[1], "--seconds") == 0 ? std::atof(argv[2]) : 3;
  const Fd listener = *listen_stream(*parse_address("127.0.0.1:0"));
  const Address target = *local_address(listener);
  const std::string to = to_text(target);
  Pair plain = connect_through(target, listener);
  const double direct_us = median_round_trip_us(plain);
  double relay_us = 0;
  {
    RelayThread relay(to, {});
    Pair pair = connect_through(relay.address(), listener);
    relay_us = median_round_trip_us(pair);
  }
  const Throughput ours = relay_throughput(listener, to, span);
  const auto peer = socat_throughput(listener, to, span);
  const double slow = rate_error_percent(listener, to, 20, span);
  const double fast = rate_error_percent(listener, to, 200, span);
  const std::string socat = peer ? fmt::format(R"({{"gbit":{:.2f},"gbit_per_core":{:.2f}}})",
                                               peer->gbit, peer->gbit_per_core)
                                 : "null";
  std::printf("%s\n", fmt::format(R"({{"bench":"netsim_relay","seconds":{},"idle":{{"gbit":{:.2f},)"
                                  R"("gbit_per_core":{:.2f}}},"socat":{},"round_trip_us":{{)"
                                  R"("direct":{:.1f},"relay":{:.1f},"added_one_way":{:.1f}}},)"
                                  R"("rate_error_percent":{{"20mbit":{:.2f},"200mbit":{:.2f}}}}})",
                                  span, ours.gbit, ours.gbit_per_core, socat, direct_us, relay_us,
                                  (relay_us - direct_us) / 2, slow, fast)
                          .c_str());
}
