#include "netsim/emulator/socket_watch.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <string_view>

namespace netsim::emulator {
namespace {

using longhaul::fail_errno;
using std::chrono::milliseconds;

constexpr Duration kFast = milliseconds(25), kSlow = milliseconds(200);
constexpr int kFastSamples = 80;
// All but listening, closed, waiting out, and half open at the listener (which has no congestion
// control yet): those have no TCP_INFO worth having.
constexpr std::uint32_t kTcpStates = ~(1U << 12 | 1U << 10 | 1U << 7 | 1U << 6 | 1U << 3);
constexpr std::uint32_t kAnyState = ~0U;  // an unconnected UDP socket is "closed"
enum MemInfo : std::size_t { kRcvBuf = 1, kSndBuf = 3, kMemInfoWords = 9 };

struct Attributes {
  std::string congestion;
  std::array<std::uint32_t, kMemInfoWords> memory{};
  tcp_info info{};
};

template <class Value>
void copy_in(Value& out, const char* data, std::size_t bytes) {
  std::memcpy(&out, data, std::min(bytes, sizeof out));
}

Attributes read_attributes(const char* at, const char* end) {
  Attributes out;
  while (end - at >= static_cast<std::ptrdiff_t>(sizeof(rtattr))) {
    rtattr head;
    std::memcpy(&head, at, sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > end - at) break;
    const char* data = at + sizeof head;
    const std::size_t bytes = head.rta_len - sizeof head;
    if (head.rta_type == INET_DIAG_CONG) out.congestion = std::string(data, ::strnlen(data, bytes));
    if (head.rta_type == INET_DIAG_SKMEMINFO) copy_in(out.memory, data, bytes);
    if (head.rta_type == INET_DIAG_INFO) copy_in(out.info, data, bytes);
    at += (head.rta_len + 3U) & ~3U;
  }
  return out;
}

using OnSocket = std::function<void(const inet_diag_msg&, const Attributes&)>;

// Asks for all sockets of a protocol and hands them to `each`. What cannot be asked stays unknown.
void dump(const Fd& diag, std::uint8_t family, std::uint8_t protocol, const OnSocket& each) {
  struct {
    nlmsghdr head{};
    inet_diag_req_v2 request{};
  } ask;
  ask.head.nlmsg_len = sizeof ask;
  ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  ask.request.sdiag_family = family;
  ask.request.sdiag_protocol = protocol;
  ask.request.idiag_states = protocol == IPPROTO_TCP ? kTcpStates : kAnyState;
  constexpr std::uint8_t kMemory = 1U << (INET_DIAG_SKMEMINFO - 1);
  constexpr std::uint8_t kTcp = 1U << (INET_DIAG_INFO - 1) | 1U << (INET_DIAG_CONG - 1);
  ask.request.idiag_ext = protocol == IPPROTO_TCP ? kMemory | kTcp : kMemory;
  if (::send(diag.get(), &ask, sizeof ask, 0) < 0) return;
  alignas(nlmsghdr) std::array<char, 32768> answer;
  for (;;) {
    const ssize_t got = ::recv(diag.get(), answer.data(), answer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= static_cast<std::size_t>(got);) {
      nlmsghdr head;
      std::memcpy(&head, answer.data() + at, sizeof head);
      if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) return;
      if (head.nlmsg_len < sizeof head || at + head.nlmsg_len > static_cast<std::size_t>(got))
        return;
      inet_diag_msg socket;
      if (head.nlmsg_len >= sizeof head + sizeof socket) {
        const char* body = answer.data() + at + sizeof head;
        std::memcpy(&socket, body, sizeof socket);
        each(socket, read_attributes(body + sizeof socket, answer.data() + at + head.nlmsg_len));
      }
      at += (head.nlmsg_len + 3U) & ~3U;
    }
  }
}

std::uint64_t cookie_of(const inet_diag_msg& socket) {
  return std::uint64_t{socket.id.idiag_cookie[1]} << 32 | socket.id.idiag_cookie[0];
}

ConnectionFacts facts_of(const inet_diag_msg& socket, const Attributes& a) {
  ConnectionFacts out;
  out.cookie = cookie_of(socket);
  out.local_port = ntohs(socket.id.idiag_sport);
  out.remote_port = ntohs(socket.id.idiag_dport);
  out.congestion = a.congestion;
  out.sndbuf_bytes = a.memory[kSndBuf];
  out.rcvbuf_bytes = a.memory[kRcvBuf];
  out.rtt_us = a.info.tcpi_rtt;
  out.min_rtt_us = a.info.tcpi_min_rtt;
  out.cwnd_segments = a.info.tcpi_snd_cwnd;
  out.mss_bytes = a.info.tcpi_snd_mss;
  out.bytes_acked = a.info.tcpi_bytes_acked;
  out.bytes_received = a.info.tcpi_bytes_received;
  out.retransmitted_segments = a.info.tcpi_total_retrans;
  out.delivery_bytes_per_s = a.info.tcpi_delivery_rate;
  return out;
}

std::uint64_t moved(const ConnectionFacts& c) {
  return c.bytes_acked + c.bytes_received;
}

// Keeps the latest account of each connection, and of those the ones that moved most.
void keep(std::vector<ConnectionFacts>& most, ConnectionFacts fresh) {
  const auto known = std::find_if(
      most.begin(), most.end(), [&](const ConnectionFacts& c) { return c.cookie == fresh.cookie; });
  if (known != most.end())
    *known = std::move(fresh);
  else
    most.push_back(std::move(fresh));
  std::stable_sort(
      most.begin(), most.end(),
      [](const ConnectionFacts& a, const ConnectionFacts& b) { return moved(a) > moved(b); });
  if (most.size() > SocketWatch::kMost) most.resize(SocketWatch::kMost);
}

std::string text_of(const Fd& file) {
  std::string out(16384, '\0');
  const ssize_t got = ::pread(file.get(), out.data(), out.size(), 0);
  out.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t begin = line.find_first_not_of(" \t", at);
    if (begin == std::string_view::npos) break;
    at = std::min(line.find_first_of(" \t", begin), line.size());
    out.push_back(line.substr(begin, at - begin));
  }
  return out;
}

std::uint64_t number(std::string_view word) {
  std::uint64_t out = 0;
  std::from_chars(word.data(), word.data() + word.size(), out);
  return out;
}

// net/snmp has a line of names and one of numbers, both behind "Tcp:"; net/snmp6 "Udp6InErrors 5".
std::uint64_t count_in(const std::string& snmp, std::string_view group, std::string_view name) {
  std::vector<std::string_view> names;
  for (std::size_t at = 0; at < snmp.size();) {
    const std::size_t end = std::min(snmp.find('\n', at), snmp.size());
    const auto words = words_of(std::string_view(snmp).substr(at, end - at));
    at = end + 1;
    if (words.size() == 2 && words[0] == name) return number(words[1]);
    if (words.empty() || words[0] != group) continue;
    if (names.empty()) {
      names = words;
      continue;
    }
    const auto found = std::find(names.begin(), names.end(), name);
    const auto place = static_cast<std::size_t>(found - names.begin());
    return place < words.size() ? number(words[place]) : 0;
  }
  return 0;
}

void count_dropped(const SocketSource& source, HostFacts& facts) {
  const std::string four = text_of(source.snmp), six = text_of(source.snmp6);
  const auto udp = [&](const std::string& name) {
    return count_in(four, "Udp:", name) + count_in(six, "", "Udp6" + name);
  };
  facts.tcp_retransmitted_segments = count_in(four, "Tcp:", "RetransSegs");
  facts.udp_dropped_receive_buffer = udp("RcvbufErrors");
  facts.udp_dropped_send_buffer = udp("SndbufErrors");
  facts.udp_no_port = udp("NoPorts");
}

}  // namespace

Result<SocketSource> SocketSource::open() {
  SocketSource out;
  out.diag = Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!out.diag) return fail_errno("open a sock_diag socket", errno);
  const timeval patience{1, 0};
  ::setsockopt(out.diag.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  out.snmp = Fd(::open("/proc/thread-self/net/snmp", O_RDONLY | O_CLOEXEC));
  out.snmp6 = Fd(::open("/proc/thread-self/net/snmp6", O_RDONLY | O_CLOEXEC));
  return out;
}

SocketWatch::SocketWatch(std::vector<SocketSource> sources) {
  for (SocketSource& source : sources) hosts_.push_back({std::move(source), {}, {}});
  thread_ = std::thread([this] { sample_forever(); });
}

SocketWatch::~SocketWatch() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ending_.notify_one();
  thread_.join();
}

void SocketWatch::sample_forever() {
  std::unique_lock lock(mutex_);
  for (int samples = 0; !end_; ++samples) {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      Host& host = hosts_[i];
      // The lock is not held while the kernel answers: facts() is called between packets.
      std::vector<std::pair<inet_diag_msg, Attributes>> tcp, udp;
      lock.unlock();
      for (const int family : {AF_INET, AF_INET6}) {
        const auto f = static_cast<std::uint8_t>(family);
        dump(host.source.diag, f, IPPROTO_TCP,
             [&](const inet_diag_msg& s, const Attributes& a) { tcp.emplace_back(s, a); });
        dump(host.source.diag, f, IPPROTO_UDP,
             [&](const inet_diag_msg& s, const Attributes& a) { udp.emplace_back(s, a); });
      }
      lock.lock();
      const auto is_new = [&](const inet_diag_msg& socket) {
        return host.seen.size() < kSeenMax && host.seen.emplace(cookie_of(socket), true).second;
      };
      HostFacts& facts = host.facts;
      for (const auto& [socket, a] : tcp) {
        if (is_new(socket)) {
          ++facts.connections;
          ++facts.congestion[a.congestion];
        }
        facts.tcp_sndbuf_max = std::max(facts.tcp_sndbuf_max, a.memory[kSndBuf]);
        facts.tcp_rcvbuf_max = std::max(facts.tcp_rcvbuf_max, a.memory[kRcvBuf]);
        keep(facts.most, facts_of(socket, a));
      }
      for (const auto& [socket, a] : udp) {
        if (is_new(socket)) ++facts.udp_sockets;
        facts.udp_sndbuf_max = std::max(facts.udp_sndbuf_max, a.memory[kSndBuf]);
        facts.udp_rcvbuf_max = std::max(facts.udp_rcvbuf_max, a.memory[kRcvBuf]);
      }
    }
    ending_.wait_for(lock, samples < kFastSamples ? kFast : kSlow, [this] { return end_; });
  }
}

std::vector<HostFacts> SocketWatch::facts() {
  const std::lock_guard lock(mutex_);
  std::vector<HostFacts> out;
  for (Host& host : hosts_) {
    count_dropped(host.source, host.facts);
    out.push_back(host.facts);
  }
  return out;
}

}  // namespace netsim::emulator
