#include "lib/gateway/remote_site.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "lib/base/escape.hpp"
#include "lib/gateway/desk.hpp"
#include "lib/gateway/zmq_socket.hpp"

namespace longhaul::gateway {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kLastWordMs = 200;  // for it to leave; a reader whose word is lost is forgotten later

Result<std::string> read_text(const std::string& path) {
  const std::string attempt = "read the pass " + printable(path, 500);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail_errno(attempt, errno);
  std::string text(kPassBytesMax + 1, '\0');
  const ssize_t size = ::read(fd, text.data(), text.size());
  const int code = errno;
  ::close(fd);
  if (size < 0) return fail_errno(attempt, code);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

}  // namespace

struct RemoteSite::Link {
  Link(const ZmqCalls& calls, Pass the_pass)
      : pass(std::move(the_pass)),
        context(calls),
        socket(context, ZMQ_DEALER),
        events(context, ZMQ_PAIR) {}

  Result<> connect() {
    socket.set(ZMQ_IMMEDIATE, 1);  // a question to nobody is not kept for later
    socket.set(ZMQ_RECONNECT_IVL, 100);
    socket.set(ZMQ_RECONNECT_IVL_MAX, 2000);
    socket.set(ZMQ_HEARTBEAT_IVL, 5000);
    socket.set(ZMQ_HEARTBEAT_TIMEOUT, 15000);
    socket.set_wide(ZMQ_MAXMSGSIZE, kAnswerMax);
    socket.set(ZMQ_CURVE_SERVERKEY, pass.site_key);
    socket.set(ZMQ_CURVE_PUBLICKEY, pass.our_key);
    socket.set(ZMQ_CURVE_SECRETKEY, pass.our_secret);
    constexpr const char* kEvents = "inproc://events";
    if (context.calls().socket_monitor(socket.get(), kEvents, ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) != 0)
      return fail(Kind::kIo, "watch the gateway's socket");
    TRY(events.connect(kEvents));
    return socket.connect(pass.at);
  }
  enum class Came : std::uint8_t { kNothing, kWhatWasAwaited, kRefusal };
  Came wait(short what, Clock::time_point until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    std::array<zmq_pollitem_t, 2> items = {
        {{socket.get(), 0, what, 0}, {events.get(), 0, ZMQ_POLLIN, 0}}};
    context.calls().poll(items.data(), static_cast<int>(items.size()),
                         std::max<long>(0, static_cast<long>(left)));
    if (items[0].revents != 0) return Came::kWhatWasAwaited;
    return events.receive() ? Came::kRefusal : Came::kNothing;
  }

  struct Away {
    bool was_reached;            // it took a question and did not answer
    Clock::time_point ask_at{};  // such a one is asked once more, to hear whether it answers again
    const char* why() const {
      return was_reached ? "it does not answer" : "it is not to be reached";
    }
  };

  const Pass pass;
  std::optional<Away> away;
  ZmqContext context;
  ZmqSocket socket, events;
  store::Demand wanted;  // what was said last, and noted by the desk
  std::string wanted_of;
  Clock::time_point said_at{};
};

RemoteSite::RemoteSite(std::unique_ptr<Link> link) : link_(std::move(link)) {}

RemoteSite::~RemoteSite() {
  Question question;
  question.number = ++number_;
  question.what = Leave{};
  link_->socket.set(ZMQ_LINGER, kLastWordMs);
  link_->socket.send({wire::encode(question)});
}

Result<std::unique_ptr<RemoteSite>> RemoteSite::open(const std::string& pass_file) {
  auto pass = TRY(parse_pass(TRY(read_text(pass_file))));
  const ZmqCalls* calls = TRY(loaded_zmq());
  auto link = std::make_unique<Link>(*calls, std::move(pass));
  TRY(link->connect());
  return std::unique_ptr<RemoteSite>(new RemoteSite(std::move(link)));
}

std::string RemoteSite::where() const {
  return "through the gateway at " + printable(link_->pass.at, 200);
}

std::string RemoteSite::attempt() const {
  return "ask the gateway at " + printable(link_->pass.at, 200);
}

tl::unexpected<Error> RemoteSite::refused() {
  link_->away.reset();
  return fail(Error(Kind::kAuth, attempt(), "it does not take this pass")
                  .advise("the site may have revoked it: `longhaul-streamer gateway pass` "
                          "makes another"));
}

// One that is away is not waited for: a connection, or anything that it says, ends that.
Result<> RemoteSite::find_again(Bytes question) {
  Link::Away& away = *link_->away;
  const auto now = Clock::now();
  switch (link_->wait(away.was_reached ? ZMQ_POLLIN : ZMQ_POLLOUT, now)) {
    case Link::Came::kRefusal:
      return refused();
    case Link::Came::kWhatWasAwaited:
      link_->away.reset();
      return {};
    case Link::Came::kNothing:
      break;
  }
  if (away.was_reached && now >= away.ask_at) {
    link_->socket.send({question});  // what it answers late answers no question by its number
    away.ask_at = now + kAnswerPatience;
  }
  return fail(Kind::kTimeout, attempt(), away.why());
}

Result<Answer> RemoteSite::exchange(const Question& question) {
  const ByteVector bytes = wire::encode(question);
  if (link_->away) TRY(find_again(bytes));
  const auto until = Clock::now() + kAnswerPatience;
  bool sent = false;
  do {
    switch (link_->wait(sent ? ZMQ_POLLIN : ZMQ_POLLOUT, until)) {
      case Link::Came::kNothing:
        break;
      case Link::Came::kRefusal:
        return refused();
      case Link::Came::kWhatWasAwaited:
        if (!sent) {
          sent = link_->socket.send({bytes});
          break;
        }
        while (const auto received = link_->socket.receive()) {
          if (received->frames.size() != 1) continue;
          auto answer = wire::decode<Answer>(bytes_of(received->frames[0]));
          if (!answer.has_value()) return fail(answer.error());
          // Number 0: what it could not even read.
          if (answer->number == question.number || answer->number == 0) return *std::move(answer);
        }
    }
  } while (Clock::now() < until);
  link_->away = Link::Away{sent, Clock::now() + kAnswerPatience};
  return fail(Kind::kTimeout, attempt(), link_->away->why());
}

template <class Reply>
Result<Reply> RemoteSite::ask(decltype(Question::what) what) {
  Question question;
  question.number = ++number_;
  question.what = std::move(what);
  Answer answer = TRY(exchange(question));
  if (auto* reply = std::get_if<Reply>(&answer.what)) return std::move(*reply);
  if (const auto* refused = std::get_if<Refused>(&answer.what)) {
    // Its clock's or its link's trouble is none of ours to wait for.
    const Kind kind = refused->kind == Kind::kTimeout ? Kind::kIo : refused->kind;
    return fail(kind, attempt(),
                "it said: " + printable(refused->attempt, kWordsMax) + ": " +
                    printable(refused->why, kWordsMax));
  }
  return fail(Kind::kMalformed, attempt(), "it answered another question");
}

Result<std::optional<store::VersionNo>> RemoteSite::current(const store::DatasetName& dataset) {
  const auto answer = TRY(ask<Current>(AskCurrent{dataset.text()}));
  if (answer.version.empty()) return std::optional<store::VersionNo>();
  const auto version = store::parse_version(answer.version);
  if (!version) return fail(Kind::kMalformed, attempt(), "there is no such version");
  return version;
}

Result<std::optional<Site::Seen>> RemoteSite::look(const store::TreeName& name) {
  const auto answer = TRY(ask<Looked>(AskLook{name.text()}));
  if (!answer.is_there) return std::optional<Seen>();
  Seen out;
  if (answer.mark.size() != out.mark.size())
    return fail(Kind::kMalformed, attempt(), "it left out a file's mark");
  std::copy(answer.mark.begin(), answer.mark.end(), out.mark.begin());
  out.bytes = answer.bytes;
  return out;
}

Result<Site::Filled> RemoteSite::read(const store::TreeName& name, std::uint64_t offset,
                                      MutableBytes out) {
  while (!out.empty()) {
    AskPart part;
    part.name = name.text();
    part.offset = offset;
    part.bytes = static_cast<std::uint32_t>(std::min<std::size_t>(out.size(), kPartMax));
    const auto answer = TRY(ask<Part>(part));
    if (!answer.is_whole || answer.bytes.size() != part.bytes) return Filled::kNot;
    std::memcpy(out.data(), answer.bytes.data(), answer.bytes.size());
    out = out.subspan(part.bytes);
    offset += part.bytes;
  }
  return Filled::kWhole;
}

void RemoteSite::want(const store::DatasetName& dataset, const store::Demand& demand) {
  const auto now = Clock::now();
  const bool known = link_->wanted_of == dataset.text() && link_->wanted == demand;
  if (known && now - link_->said_at < kReaderSays) return;
  SayWant said;
  said.dataset = dataset.text();
  said.urgent = demand.urgent;
  said.chunks = demand.chunks;
  link_->said_at = now;  // one that does not answer is not asked at each turn
  if (!ask<Noted>(std::move(said))) return;
  link_->wanted_of = dataset.text();
  link_->wanted = demand;
}

void RemoteSite::want_nothing(const store::DatasetName& dataset) {
  if (link_->wanted_of != dataset.text()) return;
  SayWant said;
  said.dataset = dataset.text();
  said.anything = false;
  if (ask<Noted>(std::move(said))) link_->wanted_of.clear();
}

}  // namespace longhaul::gateway
