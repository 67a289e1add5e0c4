#include "trainer/ranks/star.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::string_view kHelloText = "longhaul ranks 3 ";  // and the run
constexpr Duration kLook = 100ms;                             // between looks at whether to stop
constexpr Duration kHelloWait = 5s;                           // for a stranger's first words
constexpr Duration kLastWords = 3s;  // of one that is gone: they came before its connection's end

int milliseconds(Duration span) {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(span).count());
}
bool readable(int fd, Duration most) {
  pollfd wait{fd, POLLIN, 0};
  return ::poll(&wait, 1, milliseconds(most)) > 0;
}

void prepare(int fd) {
  const auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

struct Addresses {
  addrinfo* list = nullptr;
  ~Addresses() {
    if (list != nullptr) ::freeaddrinfo(list);
  }
};

Result<> look_up(const RankPlace& place, int flags, Addresses& out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  const char* host = (flags & AI_PASSIVE) != 0 ? nullptr : place.host.c_str();
  const int failed = ::getaddrinfo(host, std::to_string(place.port).c_str(), &hints, &out.list);
  if (failed == 0) return {};
  return fail(Kind::kLink, "find rank 0's host " + printable(place.host, 100),
              ::gai_strerror(failed));
}

std::string address_of(int fd) {  // this end's
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  char text[NI_MAXHOST] = "";
  auto* generic = reinterpret_cast<sockaddr*>(&at);
  if (::getsockname(fd, generic, &size) != 0 ||
      ::getnameinfo(generic, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0)
    return "127.0.0.1";
  const std::string found = text;
  return found.starts_with("::ffff:") ? found.substr(7) : found;
}

Result<int> open_listener(const RankPlace& place) {
  Addresses found;
  TRY(look_up(place, AI_PASSIVE, found));
  int why = 0;
  // Both families, whichever opens first: an IPv6 socket takes IPv4 too.
  for (int family : {AF_INET6, AF_INET})
    for (addrinfo* at = found.list; at != nullptr; at = at->ai_next) {
      if (at->ai_family != family) continue;
      const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const int on = 1, off = 0;
      if (fd >= 0) {
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        if (::bind(fd, at->ai_addr, at->ai_addrlen) == 0 && ::listen(fd, 128) == 0) return fd;
      }
      why = errno;
      if (fd >= 0) ::close(fd);
    }
  return fail_errno(fmt::format("listen for the other ranks on port {}", place.port), why);
}

// Of ranks that have not begun yet: why they will not.
std::optional<Error> end_in(const Star::Heard& heard) {
  const std::string doing = "meet the other ranks";
  if (!heard.message)
    return Error(Kind::kLink, doing, fmt::format("rank {} is gone", heard.rank))
        .advise("start the run again with --resume auto");
  const Message& said = *heard.message;
  if (said.kind == Message::Kind::kFailed) return error_of_failed(heard.rank, said, doing);
  if (said.kind != Message::Kind::kEnd) return std::nullopt;
  if (!said.stop) return error_of_end(said, doing);
  return Error(Kind::kInterrupted, doing, "rank 0: " + printable(said.text, 400));
}

}  // namespace

Star::Star(const RankPlace& place)
    : place_(place),
      lines_(place.rank == 0 ? place.ranks : 1),
      said_gone_(lines_.size(), false),
      address_("127.0.0.1") {}

Star::~Star() {
  for (Line& line : lines_) hang_up(line);
}

std::optional<std::string> Star::gone() const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t first = place_.rank == 0 ? 1 : 0;
  std::vector<pollfd> looks;
  for (std::uint64_t rank = first; rank < lines_.size(); ++rank) {
    if (lines_[rank].fd < 0) return fmt::format("rank {} is gone", rank);
    looks.push_back({lines_[rank].fd, POLLIN | POLLRDHUP, 0});
  }
  ::poll(looks.data(), looks.size(), 0);
  for (std::size_t i = 0; i < looks.size(); ++i)
    if ((looks[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
      return fmt::format("rank {} is gone", first + i);
  // Rank 0 says nothing while this rank is inside a sum, but the end: its next "go" waits for this
  // rank's "ready". It is seen here because rank 0 stays, to save, when another has died.
  if (place_.rank != 0 && ((looks[0].revents & POLLIN) != 0 || !lines_[0].in.empty()))
    return "rank 0 has ended the run";
  return std::nullopt;
}

void Star::hang_up(Line& line) {
  if (line.fd >= 0) ::close(line.fd);
  line.fd = -1;
}

Result<std::unique_ptr<Star>> Star::join(const RankPlace& place, Duration patience,
                                         const std::function<bool()>& stop_asked) {
  ASSERT(place.ranks > 1 && place.rank < place.ranks);
  std::unique_ptr<Star> star(new Star(place));
  TRY(place.rank == 0 ? star->listen_and_accept(patience, stop_asked)
                      : star->connect_to_zero(patience, stop_asked));
  return star;
}

// It is told why, and hangs up once it has heard that: a connection that is closed on words which
// nobody has read loses those to it, too.
void Star::turn_away(Line& line, const std::string& run) {
  turned_away_ = printable(run, 200);
  const Error why(Kind::kLink, "it is of another run, " + printable(place_.run, 200));
  if (write_all(line.fd, to_frame(failed_by(why)))) ::shutdown(line.fd, SHUT_WR);
  const auto until = Clock::now() + kHelloWait;
  while (line.fd >= 0 && readable(line.fd, until - Clock::now())) {
    read_from(line);
    line.in.clear();
  }
  hang_up(line);
}

// A stranger, or a rank of another run, costs its own connection only.
Result<> Star::welcome(int fd) {
  prepare(fd);
  Line line{fd};
  std::optional<Message> hello;
  const auto until = Clock::now() + kHelloWait;
  while (!hello && line.fd >= 0 && readable(fd, until - Clock::now())) {
    read_from(line);
    const auto taken = take_frame(line.in);
    if (!taken) break;
    hello = *taken;
  }
  if (line.fd < 0) return {};
  if (!hello || hello->kind != Message::Kind::kHello || !hello->text.starts_with(kHelloText)) {
    hang_up(line);
    return {};
  }
  if (const std::string run = hello->text.substr(kHelloText.size()); run != place_.run) {
    turn_away(line, run);
    return {};
  }
  const std::uint64_t rank = hello->step >> 32, ranks = hello->step & 0xFFFFFFFF;
  if (ranks != place_.ranks) {
    hang_up(line);
    return fail(Kind::kUsage, "meet the other ranks",
                fmt::format("rank {} is one of {}, this is one of {}", rank, ranks, place_.ranks));
  }
  if (rank == 0 || rank >= ranks || lines_[rank].fd >= 0) {
    hang_up(line);
    return {};
  }
  const std::string address = address_of(fd);
  if (!address.starts_with("127.") && address != "::1") address_ = address;
  lines_[rank] = std::move(line);
  return {};
}

Result<> Star::listen_and_accept(Duration patience, const std::function<bool()>& stop_asked) {
  const int listener = place_.listener >= 0 ? place_.listener : TRY(open_listener(place_));
  ::fcntl(listener, F_SETFD, FD_CLOEXEC);
  const auto until = Clock::now() + patience;
  const auto missing = [this] {
    return std::count_if(lines_.begin() + 1, lines_.end(), [](const Line& l) { return l.fd < 0; });
  };
  Result<> done;
  while (done && missing() > 0) {
    if (stop_asked()) {
      done = fail(Kind::kInterrupted, "wait for the other ranks");
    } else if (Clock::now() > until) {
      done =
          fail(Kind::kTimeout, "wait for the other ranks",
               fmt::format("{} of {} have not come{}{}", missing(), place_.ranks - 1,
                           turned_away_.empty() ? "" : "; one did of another run, ", turned_away_));
    } else if (readable(listener, kLook)) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) done = welcome(fd);
    }
  }
  ::close(listener);
  return done;
}

Result<> Star::connect_to_zero(Duration patience, const std::function<bool()>& stop_asked) {
  const auto until = Clock::now() + patience;
  const std::string doing =
      fmt::format("reach rank 0 at {}:{}", printable(place_.host, 100), place_.port);
  for (;;) {
    Addresses found;
    const Result<> looked = look_up(place_, 0, found);
    int why = 0;
    for (addrinfo* at = found.list; at != nullptr && lines_[0].fd < 0; at = at->ai_next) {
      const int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (fd >= 0 && ::connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
        lines_[0].fd = fd;
        break;
      }
      why = errno;
      if (fd >= 0) ::close(fd);
    }
    if (lines_[0].fd >= 0) break;
    if (stop_asked()) return fail(Kind::kInterrupted, doing);
    if (Clock::now() > until) {
      if (!looked) return looked;
      return fail_errno(doing, why);
    }
    ::poll(nullptr, 0, milliseconds(kLook));  // rank 0 may start later
  }
  prepare(lines_[0].fd);
  address_ = address_of(lines_[0].fd);
  send(0, {Message::Kind::kHello, false, place_.rank << 32 | place_.ranks,
           std::string(kHelloText) + place_.run});
  return {};
}

void Star::send(std::uint64_t rank, const Message& message) {
  Line& line = lines_[rank];
  // The connection stays open for reading: what the rank said before it died is still to be heard.
  if (line.fd >= 0 && !write_all(line.fd, to_frame(message))) ::shutdown(line.fd, SHUT_WR);
}

void Star::send_to_all(const Message& message) {
  for (std::uint64_t rank = 1; rank < lines_.size(); ++rank) send(rank, message);
}

void Star::read_from(Line& line) {
  char piece[65536];
  const std::lock_guard lock(mutex_);
  const auto got = ::recv(line.fd, piece, sizeof piece, MSG_DONTWAIT);
  if (got > 0) {
    line.in.append(piece, static_cast<std::size_t>(got));
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    hang_up(line);
  }
}

std::optional<Star::Heard> Star::take_heard(std::uint64_t rank, Result<>& broken) {
  const std::lock_guard lock(mutex_);
  Line& line = lines_[rank];
  auto taken = take_frame(line.in);
  if (!taken) {
    broken = fail(taken.error());
    return std::nullopt;
  }
  if (*taken) return Heard{rank, std::move(*taken)};
  if (line.fd >= 0 || said_gone_[rank]) return std::nullopt;
  said_gone_[rank] = true;
  return Heard{rank};
}

Result<std::optional<Star::Heard>> Star::hear(Duration most) {
  const std::uint64_t first = place_.rank == 0 ? 1 : 0;
  for (bool waited = false;; waited = true) {
    std::vector<pollfd> waits;
    for (std::uint64_t rank = first; rank < lines_.size(); ++rank) {
      Result<> broken;
      if (auto heard = take_heard(rank, broken)) return heard;
      TRY(std::move(broken));
      if (lines_[rank].fd >= 0) waits.push_back({lines_[rank].fd, POLLIN, 0});
    }
    if (waited) return std::optional<Heard>();
    if (::poll(waits.data(), waits.size(), milliseconds(most)) <= 0) return std::optional<Heard>();
    for (std::uint64_t rank = first; rank < lines_.size(); ++rank)
      if (lines_[rank].fd >= 0) read_from(lines_[rank]);
  }
}

Error Star::who_left() {
  const auto until = Clock::now() + kLastWords;
  while (Clock::now() < until) {
    const auto heard = hear(kLook);
    if (!heard) return heard.error();
    if (!*heard) continue;
    // Another's part of the exchange may be here already.
    if (std::optional<Error> end = end_in(**heard)) return *std::move(end);
  }
  return Error(Kind::kLink, "meet the other ranks", gone().value_or(""));
}

Result<std::vector<std::string>> Star::exchange(const std::string& mine, Duration patience,
                                                const std::function<bool()>& stop_asked) {
  const auto until = Clock::now() + patience;
  const auto next = [&]() -> Result<Heard> {
    for (;;) {
      const Duration left = until - Clock::now();
      if (left <= 0s) return fail(Kind::kTimeout, "hear from the other ranks");
      if (stop_asked()) return fail(Kind::kInterrupted, "hear from the other ranks");
      std::optional<Heard> heard = TRY(hear(std::min<Duration>(left, kLook)));
      if (!heard) continue;
      if (std::optional<Error> end = end_in(*heard)) return fail(*std::move(end));
      return *std::move(heard);
    }
  };
  if (place_.rank != 0) {
    send(0, {Message::Kind::kBlob, false, 0, mine});
    const Heard heard = TRY(next());
    return parts_of(heard.message->text, place_.ranks);
  }
  std::vector<std::string> parts(place_.ranks);
  parts[0] = mine;
  for (std::uint64_t missing = place_.ranks - 1; missing > 0; --missing) {
    Heard heard = TRY(next());
    parts[heard.rank] = std::move(heard.message->text);
  }
  send_to_all({Message::Kind::kBlobs, false, 0, to_text(parts)});
  return parts;
}

}  // namespace longhaul::trainer
