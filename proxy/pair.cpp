#include "proxy/pair.hpp"

#include <optional>

#include "lib/crypto/aead.hpp"
#include "lib/io/task_group.hpp"
#include "lib/session/stream_path.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kPairingTime = 15s;

io::Task<> close_at(io::Env& env, io::Stream& stream, Time when) {
  co_await env.sleep_until(when);
  stream.close();
}

io::Task<bool> flush(io::Stream& stream, session::StreamPath& path) {
  std::vector<Slice> parts;
  while (path.output_bytes() > 0) parts.push_back(path.take_output());
  if (parts.empty()) co_return true;
  const Result<> written = co_await stream.write(std::move(parts));
  co_return written.has_value();
}

class Talk {  // what is under way on one connection
 public:
  Talk(const auth::InviteLine& invite, std::string name, const crypto::Identity& identity)
      : invite_(invite), name_(std::move(name)), identity_(identity) {}

  // An answer, or nullopt while there is none; our proof goes out once the connection is secured.
  Result<std::optional<auth::Paired>> step(session::StreamPath& path) {
    if (!path.secured()) return std::nullopt;
    if (!joiner_) {
      const auth::PairingBinding binding{path.exported(auth::kPairingLabel), identity_.pin(),
                                         path.peer()};
      joiner_.emplace(invite_, name_, binding);
      path.send(wire::FrameType::kJoin, joiner_->join());
    }
    const auto frame = TRY(path.next_frame());
    if (!frame) return std::nullopt;
    if (frame->type == wire::FrameType::kJoined) {
      const auto joined = TRY(wire::decode<wire::Joined>(frame->body));
      return TRY(joiner_->on_joined(joined));
    }
    if (frame->type == wire::FrameType::kRefuse) {
      const auto refuse = TRY(wire::decode<wire::Refuse>(frame->body));
      return fail(joiner_->on_refuse(refuse));
    }
    return fail(Kind::kMalformed, "pair", "the site answered with something else");
  }

 private:
  const auth::InviteLine& invite_;
  std::string name_;
  const crypto::Identity& identity_;
  std::optional<auth::Joiner> joiner_;
};

io::Task<Result<auth::Paired>> converse(io::Stream& stream, session::StreamPath& path, Talk& talk) {
  for (;;) {
    const Result<std::optional<auth::Paired>> answer = talk.step(path);
    const bool flushed = co_await flush(stream, path);
    if (!answer) co_return fail(answer.error());
    if (answer->has_value()) co_return **answer;
    if (!flushed) co_return fail(Kind::kLink, "pair", "the connection broke");
    const Result<Slice> in = co_await stream.read();
    if (!in) co_return fail(Kind::kLink, "pair", in.error().why());
    if (in->empty()) co_return fail(Kind::kLink, "pair", "the site closed the connection");
    const Result<> fed = path.feed(*in);
    if (!fed) co_return fail(fed.error());
  }
}

}  // namespace

io::Task<Result<auth::Paired>> pair(io::Env& env, const crypto::Identity& identity,
                                    const auth::InviteLine& invite, std::string name,
                                    std::unique_ptr<io::Stream> stream) {
  BufferPool pool;
  const crypto::TlsContext tls(identity, crypto::TlsOptions{crypto::has_fast_aes()});
  const crypto::Pin pin{std::span<const std::byte, auth::kPinBytes>(invite.pin)};
  io::TaskGroup deadline(env.executor());
  const Time until = env.now() + kPairingTime;
  deadline.spawn(close_at(env, *stream, until));
  Result<auth::Paired> peer = fail(Kind::kLink, "pair");
  {
    session::StreamPath path(crypto::TlsEngine::client(tls, pool, pin), pool);
    Talk talk(invite, std::move(name), identity);
    peer = co_await converse(*stream, path, talk);
  }
  stream->close();
  deadline.cancel();
  co_await deadline.join();
  co_return peer;
}

}  // namespace longhaul::proxy
