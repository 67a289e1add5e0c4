#include "trainer/asking/completion_client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "lib/base/escape.hpp"
#include "trainer/asking/completion_stream.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

constexpr Duration kLook = 100ms;  // between looks at whether to stop
constexpr int kConnectMilliseconds = 10'000;
constexpr std::size_t kReadBytes = 64U << 10;

Time time_now() {
  return Time(std::chrono::steady_clock::now().time_since_epoch());
}

std::string name_of(const ServerUrl& url) {
  return printable(url.host, 100) + ":" + url.port;
}

struct Socket {
  explicit Socket(int family)
      : fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int failure() const {  // of its connect()
    int why = 0;
    socklen_t size = sizeof why;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) == 0 ? why : errno;
  }
  const int fd;
};

struct Address {
  sockaddr_storage at{};
  socklen_t size = 0;
  int begin_connect(const Socket& from) const {  // 0, or errno
    if (::connect(from.fd, reinterpret_cast<const sockaddr*>(&at), size) == 0) return 0;
    return errno == EINPROGRESS ? 0 : errno;
  }
};

// The first of the server's addresses that answers.
Result<Address> find(const ServerUrl& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(url.host.c_str(), url.port.c_str(), &hints, &list);
  if (failed != 0)
    return fail(Kind::kLink, "find the server " + name_of(url), ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  int why = 0;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    Address address;
    address.size = one->ai_addrlen;
    std::memcpy(&address.at, one->ai_addr, one->ai_addrlen);
    const Socket attempt(one->ai_family);
    why = attempt.fd < 0 ? errno : address.begin_connect(attempt);
    if (why != 0) continue;
    pollfd wait{attempt.fd, POLLOUT, 0};
    why = ::poll(&wait, 1, kConnectMilliseconds) > 0 ? attempt.failure() : ETIMEDOUT;
    if (why == 0) return address;
  }
  return fail_errno("connect to the server " + name_of(url), why);
}

std::string request_of(const ServerUrl& url, const Question& question, const AskOptions& options) {
  const std::string prompt = json_quoted(question.prompt);
  const std::string asked =
      url.chat ? fmt::format("\"messages\":[{{\"role\":\"user\",\"content\":{}}}]", prompt)
               : fmt::format("\"prompt\":{}", prompt);
  const std::string body = fmt::format(
      "{{\"model\":{},{},\"max_tokens\":{},\"temperature\":0,\"stream\":true,"
      "\"stream_options\":{{\"include_usage\":true}}}}",
      json_quoted(options.model), asked, question.output);
  const std::string key =
      options.key.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", options.key);
  const bool v6 = url.host.find(':') != std::string::npos;
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}{}{}:{}\r\nContent-Type: application/json\r\n"
      "Accept: text/event-stream\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n{}",
      url.path, v6 ? "[" : "", url.host, v6 ? "]" : "", url.port, key, body.size(), body);
}

// One question on its way.
class Asking {
 public:
  Asking(std::size_t number, Time asked, std::string request, int family)
      : number_(number), request_(std::move(request)), socket_(family) {
    answer_.asked = asked;
  }

  Result<> connect(const Address& to) {
    if (socket_.fd < 0) return fail_errno("open a socket", errno);
    const int on = 1;
    ::setsockopt(socket_.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    began_ = heard_ = time_now();
    if (const int why = to.begin_connect(socket_); why != 0)
      return fail_errno("connect to the server", why);
    return {};
  }
  pollfd wait() const {
    return {socket_.fd, static_cast<short>(sent_ < request_.size() ? POLLOUT : POLLIN), 0};
  }
  // Something can be done.
  Result<> go_on(Time now) {
    heard_ = now;
    if (answer_.round_trip == Duration::zero()) TRY(connected(now));
    return sent_ < request_.size() ? send(now) : receive(now);
  }
  bool done() const { return done_; }
  Time heard() const { return heard_; }
  std::size_t number() const { return number_; }
  Answer& answer() { return answer_; }

 private:
  Result<> connected(Time now) {
    if (const int why = socket_.failure(); why != 0)
      return fail_errno("connect to the server", why);
    answer_.round_trip = std::max(now - began_, Duration(1));
    return {};
  }
  Result<> send(Time now) {
    const auto put =
        ::send(socket_.fd, request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (put < 0) return fail_errno("ask the server", errno);
    sent_ += static_cast<std::size_t>(put);
    answer_.sent = now;
    return {};
  }
  Result<> receive(Time now) {
    static thread_local std::array<char, kReadBytes> bytes;
    const auto got = ::recv(socket_.fd, bytes.data(), bytes.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (got < 0) return fail_errno("read the server's answer", errno);
    if (got == 0) {
      TRY(stream_.end());
      done_ = true;
    } else {
      const auto heard = TRY(stream_.take({bytes.data(), static_cast<std::size_t>(got)}));
      answer_.pieces.insert(answer_.pieces.end(), heard.pieces, now);
      done_ = heard.done;
    }
    if (!done_) return {};
    answer_.prompt_tokens = stream_.prompt_tokens().value_or(0);
    answer_.made_tokens = stream_.made_tokens().value_or(0);
    if (answer_.pieces.empty())
      return fail(Kind::kMalformed, "read the server's answer", "no text came in it");
    return {};
  }

  const std::size_t number_;
  const std::string request_;
  const Socket socket_;
  std::size_t sent_ = 0;
  bool done_ = false;
  Time began_{}, heard_{};
  CompletionStream stream_;
  Answer answer_;
};

}  // namespace

Result<std::vector<Answer>> ask_all(const ServerUrl& url, std::span<const Question> questions,
                                    const AskOptions& options) {
  const Address address = TRY(find(url));
  std::vector<Answer> out(questions.size());
  std::vector<std::unique_ptr<Asking>> open;
  const Time began = time_now();
  std::size_t next = 0;
  while (next < questions.size() || !open.empty()) {
    if (options.stop_asked && options.stop_asked())
      return fail(Kind::kInterrupted, "ask the server");
    for (; next < questions.size() && began + questions[next].at <= time_now(); ++next) {
      open.push_back(std::make_unique<Asking>(next, began + questions[next].at,
                                              request_of(url, questions[next], options),
                                              address.at.ss_family));
      TRY(open.back()->connect(address));
    }
    std::vector<pollfd> waits;
    for (const auto& one : open) waits.push_back(one->wait());
    Duration most = kLook;
    if (next < questions.size())
      most = std::clamp(began + questions[next].at - time_now(), Duration::zero(), kLook);
    const timespec span{0, most.count()};
    if (::ppoll(waits.data(), waits.size(), &span, nullptr) < 0 && errno != EINTR)
      return fail_errno("wait for the server", errno);
    const Time now = time_now();
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (waits[i].revents != 0) TRY(open[i]->go_on(now));
      if (now - open[i]->heard() > options.patience)
        return fail(Kind::kTimeout, "hear from the server " + name_of(url));
      if (open[i]->done()) out[open[i]->number()] = std::move(open[i]->answer());
    }
    std::erase_if(open, [](const auto& one) { return one->done(); });
  }
  return out;
}

}  // namespace longhaul::trainer
