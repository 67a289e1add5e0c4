#include "lib/session/replay.hpp"

#include <utility>
#include <vector>

#include "lib/session/replay_doubles.hpp"

namespace longhaul::session {

using trace::Record;

namespace {

constexpr std::int64_t kTimeMost = std::int64_t{1} << 61;
constexpr std::uint64_t kBytesMost = std::uint64_t{1} << 40;

bool in_reach(std::int64_t ns) {
  return ns >= 0 && ns <= kTimeMost;
}

// Numbers that no session could have met: times before its epoch, sizes beyond any machine's.
struct Sane {
  template <class T>
  bool operator()(const T& record) const {
    if constexpr (requires { record.at; }) {
      if (!in_reach(record.at)) return false;
    }
    if constexpr (requires { record.deadline; }) {
      if (record.deadline.has_value() && !in_reach(*record.deadline)) return false;
    }
    return true;
  }
  bool operator()(const trace::Begin& b) const {
    return in_reach(b.at) && b.services >= 1 && b.services <= kServicesMax &&
           b.dials == (b.addresses > 0) && b.window_bytes >= kMessageMax &&
           b.window_bytes <= kBytesMost && in_reach(b.outage_max) && in_reach(b.learned_rtt) &&
           b.rate_limit <= kBytesMost && b.learned_rate <= kBytesMost && b.bulk_paths_max <= 62 &&
           b.learned_paths <= 62;
  }
  bool operator()(const trace::Informed& i) const {
    return in_reach(i.at) && in_reach(i.rtt) && in_reach(i.rtt_min) &&
           i.delivery_rate <= kBytesMost && i.bytes_sent <= kBytesMost << 8 &&
           i.bytes_delivered <= kBytesMost << 8 && i.bytes_retransmitted <= i.bytes_sent;
  }
  bool operator()(const trace::Writable& w) const {
    return in_reach(w.at) && w.bytes <= kBytesMost;
  }
  bool operator()(const trace::Limited& l) const { return in_reach(l.at) && l.rate <= kBytesMost; }
  bool operator()(const trace::Became& b) const {
    return b.held <= kBytesMost && (!b.deadline.has_value() || in_reach(*b.deadline));
  }
  bool operator()(const trace::Turned& t) const { return t.more_output <= (1U << 24); }
  bool operator()(const trace::Received& r) const {
    return r.head.size() + r.payload.bytes <= wire::kFrameMax;
  }
};

class Player final : public PathMaker {
 public:
  explicit Player(Bytes records) : script_(records) {}

  Result<ReplayReport> play() {
    const auto* begin = script_.peek_if<trace::Begin>();
    if (begin == nullptr || !Sane{}(*begin)) return malformed();
    begin_ = *begin;
    if (!begin_.keeps_payloads) script_.forget_payloads();
    script_.take();
    script_.at(time_from_trace(begin_.at));
    report_.dialled = begin_.dials;
    report_.keeps_payloads = begin_.keeps_payloads;
    std::vector<Service*> used;
    for (std::uint8_t i = 0; i < begin_.services; ++i) {
      services_.push_back(
          std::make_unique<ReplayService>(script_, pool_, i, begin_.keeps_payloads));
      used.push_back(services_.back().get());
    }
    states();
    if (begin_.dials) {
      session_ = Session::dial(time_from_trace(begin_.at), SessionKeys{}, options(), used);
    } else {
      const auto* first = script_.peek_if<trace::Adopted>();
      if (first == nullptr || !Sane{}(*first)) return malformed();
      const Time now = time_from_trace(first->at);
      PathId path;
      Arrival arrival = arrival_of(trace::Adopted(*first));
      ++report_.inputs;
      session_ = Session::accept(now, arrival, options(), used, &path);
    }
    while (script_.peek() != nullptr) {
      if (!std::visit(Sane{}, *script_.peek())) return malformed();
      if (!step()) return malformed();
    }
    if (script_.error().has_value()) return malformed();
    script_.finish(report_);
    return report_;
  }

  std::unique_ptr<FramePath> dialled(PathId) override {
    auto path = make_path();
    path->turn();
    return path;
  }

 private:
  static tl::unexpected<Error> malformed() {
    return fail(Kind::kMalformed, "replay the trace", "it is no trace of a session, or is damaged");
  }
  SessionOptions options() {
    SessionOptions out;
    out.buffers = &pool_;
    out.addresses = begin_.addresses;
    out.window_bytes = begin_.window_bytes;
    out.rate_limit = BytesPerSecond(begin_.rate_limit);
    out.bulk_paths_max = begin_.bulk_paths_max;
    out.expects_bulk = begin_.expects_bulk;
    out.outage_max = Duration(begin_.outage_max);
    out.learned.rate = BytesPerSecond(begin_.learned_rate);
    out.learned.rtt_min = Duration(begin_.learned_rtt);
    out.learned.loss_ppm = begin_.learned_loss_ppm;
    out.learned.bulk_paths = begin_.learned_paths;
    out.learned.bbr = begin_.learned_bbr;
    out.paths = this;
    return out;
  }
  std::unique_ptr<ReplayPath> make_path() {
    return std::make_unique<ReplayPath>(script_, pool_, paths_++, begin_.keeps_payloads);
  }
  Arrival arrival_of(const trace::Adopted& record) {
    script_.take();
    script_.at(time_from_trace(record.at));
    auto path = make_path();
    path->adopted(record);
    Arrival arrival{nullptr, record.hello};
    const Association* known = session_ == nullptr ? nullptr : session_->association();
    if (record.proven && known != nullptr) arrival.hello.proof = prove(*known, *path);
    arrival.stream = std::move(path);
    return arrival;
  }
  void states() {  // what services became by calls from outside
    while (const auto* record = script_.peek_if<trace::Became>()) {
      if (record->service >= services_.size() || !Sane{}(*record)) return;
      services_[record->service]->apply(*record);
      script_.take();
    }
  }

  // One input, or one poll_output(). False: what stands here can stand in no trace.
  bool step() {
    const Record record = *script_.peek();
    if (const auto* state = std::get_if<trace::Became>(&record)) {
      if (state->service >= services_.size()) return false;
      states();
      return true;
    }
    const auto [known, done] = input(record);
    if (known) {
      ++report_.inputs;
      return done;
    }
    if (std::holds_alternative<trace::Begin>(record)) return false;
    const auto output = session_->poll_output();
    if (output.has_value()) {
      ++report_.outputs;
      script_.expect(trace::Did{in_words_of(*output)});
    } else {
      script_.expect(trace::Drained{});
    }
    return true;
  }
  static std::string in_words_of(const Output& output) { return session::in_words(output); }

  // Whether it is an input; whether it could be given.
  std::pair<bool, bool> input(const Record& record);
  template <class T>
  Time begin_input(const T& record) {
    script_.take();
    const Time now = time_from_trace(record.at);
    script_.at(now);
    return now;
  }

  BufferPool pool_;
  Script script_;
  trace::Begin begin_;
  ReplayReport report_;
  std::vector<std::unique_ptr<ReplayService>> services_;
  std::unique_ptr<Session> session_;
  std::uint32_t paths_ = 0;
};

std::pair<bool, bool> Player::input(const Record& record) {
  constexpr std::pair kDone{true, true}, kImpossible{true, false}, kNone{false, false};
  if (const auto* adopted = std::get_if<trace::Adopted>(&record)) {
    if (begin_.dials) return kImpossible;
    Arrival arrival = arrival_of(*adopted);
    static_cast<void>(session_->adopt(time_from_trace(adopted->at), arrival).has_value());
  } else if (const auto* dialed = std::get_if<trace::Dialed>(&record)) {
    Result<> result;
    if (dialed->failed.has_value()) result = fail(from_trace(*dialed->failed));
    const Time now = begin_input(*dialed);
    session_->on_dialed(now, PathId(dialed->path), std::move(result));
  } else if (const auto* heard = std::get_if<trace::Heard>(&record)) {
    const Time now = begin_input(*heard);
    session_->on_stream(now, PathId(heard->path), Slice());
  } else if (const auto* closed = std::get_if<trace::Closed>(&record)) {
    const Time now = begin_input(*closed);
    session_->on_stream_closed(now, PathId(closed->path), from_trace(closed->why));
  } else if (const auto* room = std::get_if<trace::Writable>(&record)) {
    const Time now = begin_input(*room);
    session_->on_writable(now, PathId(room->path), room->bytes);
  } else if (const auto* told = std::get_if<trace::Informed>(&record)) {
    PathInfo info;
    info.rtt = Duration(told->rtt);
    info.rtt_min = Duration(told->rtt_min);
    info.delivery_rate = BytesPerSecond(told->delivery_rate);
    info.bytes_sent = told->bytes_sent;
    info.bytes_retransmitted = told->bytes_retransmitted;
    info.bytes_delivered = told->bytes_delivered;
    info.cwnd_packets = told->cwnd_packets;
    info.bbr = told->bbr;
    const Time now = begin_input(*told);
    session_->on_path_info(now, PathId(told->path), info);
  } else if (const auto* job = std::get_if<trace::JobDone>(&record)) {
    if (job->service >= services_.size()) return kImpossible;
    const Time now = begin_input(*job);
    session_->on_job(now, ServiceId(job->service),
                     Job{JobId(job->job), JobClass::kCompute, nullptr});
  } else if (const auto* call = std::get_if<trace::Called>(&record)) {
    const Time now = begin_input(*call);
    if (call->what == trace::Call::kDeadline) session_->on_deadline(now);
    if (call->what == trace::Call::kService) session_->on_service(now);
    if (call->what == trace::Call::kAddresses) session_->on_addresses_changed(now);
  } else if (const auto* limited = std::get_if<trace::Limited>(&record)) {
    const Time now = begin_input(*limited);
    session_->set_rate_limit(now, BytesPerSecond(limited->rate));
  } else if (const auto* stopped = std::get_if<trace::Stopped>(&record)) {
    const Time now = begin_input(*stopped);
    session_->end(now, from_trace(stopped->why));
  } else {
    return kNone;
  }
  return kDone;
}

}  // namespace

Result<ReplayReport> replay(Bytes trace) {
  const std::size_t magic = trace::kTraceMagic.size();
  if (trace.size() < magic || text_of(trace.first(magic)) != trace::kTraceMagic)
    return fail(Kind::kMalformed, "replay the trace", "it does not begin as one does");
  return Player(trace.subspan(magic)).play();
}

}  // namespace longhaul::session
