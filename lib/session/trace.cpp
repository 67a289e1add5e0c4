#include "lib/session/trace.hpp"

#include <algorithm>
#include <utility>

#include "lib/crypto/digest.hpp"

namespace longhaul::session {

using trace::Record;

namespace {
constexpr std::size_t kHashBytes = 8;

}  // namespace

trace::Why to_trace(const Error& error) {
  const std::string whole = error.message();
  trace::Why out;
  out.kind = error.kind();
  out.attempt = error.attempt().substr(0, trace::kTextMax);
  const std::size_t shown = error.attempt().size() + 2;  // ": "
  if (!error.attempt().empty() && whole.size() > shown)
    out.why = whole.substr(shown, trace::kTextMax);
  return out;
}

Error from_trace(const trace::Why& why) {
  return Error(why.kind, std::string(why.attempt), std::string(why.why));
}

trace::Content to_trace(Bytes content, bool keeps) {
  trace::Content out;
  out.bytes = static_cast<std::uint32_t>(content.size());
  if (keeps) {
    out.kept.assign(content.begin(), content.end());
  } else if (!content.empty()) {
    const crypto::Digest hash = crypto::sha256(content);
    out.kept.assign(hash.bytes().begin(), hash.bytes().begin() + kHashBytes);
  }
  return out;
}

trace::Sent sent_frame(std::uint32_t path, Bytes frame, bool keeps_payloads) {
  trace::Sent out;
  out.path = path;
  out.type = std::to_integer<std::uint8_t>(frame[0]);
  const Bytes body = frame.subspan(wire::kFrameHeaderBytes);
  std::size_t payload = 0;
  if (out.type == static_cast<std::uint8_t>(wire::FrameType::kData)) {
    if (const auto data = wire::decode<wire::Data>(body)) payload = data->payload.size();
  } else if (out.type == static_cast<std::uint8_t>(wire::FrameType::kControl)) {
    if (const auto control = wire::decode<wire::Control>(body)) payload = control->body.size();
  } else if (out.type == static_cast<std::uint8_t>(wire::FrameType::kHello)) {
    if (auto hello = wire::decode<wire::Hello>(body)) {
      hello->session = {};
      hello->proof = {};
      out.head = wire::encode(*hello);
      return out;
    }
  }
  const Bytes head = body.first(body.size() - payload);
  out.head.assign(head.begin(), head.end());
  out.payload = to_trace(body.subspan(head.size()), keeps_payloads);
  return out;
}

TraceWriter::TraceWriter(TraceSink& sink, bool keeps_payloads)
    : sink_(sink), keeps_payloads_(keeps_payloads) {
  sink_.append(bytes_of(trace::kTraceMagic));
}

void TraceWriter::put(const Record& record) {
  const std::size_t size = wire::encoded_size(record);
  wire::Writer counter;
  counter.varint(size);
  ByteVector out(counter.size() + size);
  wire::Writer length(out);
  length.varint(size);
  wire::encode_into(MutableBytes(out).subspan(counter.size()), record);
  sink_.append(out);
}

namespace {

// A path that is listened to.
class TracedPath final : public FramePath {
 public:
  TracedPath(std::unique_ptr<FramePath> path, TraceWriter& writer, std::uint32_t number)
      : path_(std::move(path)), writer_(writer), number_(number) {
    output_bytes_ = path_->output_bytes();
    was_secured_ = path_->secured();
  }

  Result<> feed(const Slice& in) override {
    auto fed = path_->feed(in);
    turned();
    return fed;
  }
  bool secured() const override { return path_->secured(); }
  crypto::Pin peer() const override { return path_->peer(); }
  const std::optional<Error>& error() const override { return path_->error(); }

  Result<std::optional<Frame>> next_frame() override {
    auto frame = path_->next_frame();
    if (!frame.has_value()) {
      writer_.put(trace::Unreadable{number_, to_trace(frame.error())});
    } else if (frame->has_value()) {
      note(**frame);
    }
    turned();
    return frame;
  }
  void seal(Bytes frame) override {
    writer_.put(sent_frame(number_, frame, writer_.keeps_payloads()));
    path_->seal(frame);
    turned();
  }
  void send_close() override {
    path_->send_close();
    turned();
  }
  std::size_t output_bytes() const override { return path_->output_bytes(); }
  Slice take_output() override {
    Slice out = path_->take_output();
    output_bytes_ = path_->output_bytes();
    if (!out.empty()) writer_.put(trace::Taken{number_, static_cast<std::uint32_t>(out.size())});
    return out;
  }
  crypto::Digest exported(std::string_view label) const override { return path_->exported(label); }

 private:
  void note(const Frame& frame) {
    ByteVector whole(wire::kFrameHeaderBytes);
    whole[0] = static_cast<std::byte>(frame.type);
    append(whole, frame.body.bytes());
    trace::Sent parts = sent_frame(number_, whole, writer_.keeps_payloads());
    writer_.put(
        trace::Received{number_, parts.type, std::move(parts.head), std::move(parts.payload)});
  }
  void turned() {
    trace::Turned record;
    record.path = number_;
    record.more_output = static_cast<std::uint32_t>(path_->output_bytes() - output_bytes_);
    output_bytes_ = path_->output_bytes();
    if (!std::exchange(was_secured_, path_->secured()) && was_secured_) record.peer = path_->peer();
    const bool broken = path_->error().has_value();
    if (!std::exchange(was_broken_, broken) && broken) record.broken = to_trace(*path_->error());
    if (record.more_output > 0 || record.peer.has_value() || record.broken.has_value())
      writer_.put(record);
  }

  std::unique_ptr<FramePath> path_;
  TraceWriter& writer_;
  const std::uint32_t number_;
  std::size_t output_bytes_ = 0;
  bool was_secured_ = false, was_broken_ = false;
};

}  // namespace

class Recording::Paths final : public PathMaker {
 public:
  Paths(const SessionKeys& keys, BufferPool& pool, TraceWriter& writer)
      : keys_(keys), pool_(pool), writer_(writer) {}
  std::unique_ptr<FramePath> dialled(PathId path) override {
    auto made = listen(dial_over_tls(keys_, pool_, path));
    trace::Turned first;
    first.path = next_ - 1;
    first.more_output = static_cast<std::uint32_t>(made->output_bytes());
    writer_.put(first);
    return made;
  }
  std::unique_ptr<FramePath> listen(std::unique_ptr<FramePath> path) {
    return std::make_unique<TracedPath>(std::move(path), writer_, next_++);
  }

 private:
  const SessionKeys keys_;
  BufferPool& pool_;
  TraceWriter& writer_;
  std::uint32_t next_ = 0;
};

// A service that is listened to.
class Recording::Listener final : public Service {
 public:
  Listener(Service& service, TraceWriter& writer, std::uint8_t number)
      : service_(service), writer_(writer), number_(number) {}

  void on_message(Time now, Lane lane, Slice message) override {
    writer_.put(trace::Delivered{number_, static_cast<std::uint8_t>(lane),
                                 static_cast<std::uint32_t>(message.size())});
    service_.on_message(now, lane, std::move(message));
    became(true);
  }
  void on_job(Time now, Job done) override {
    service_.on_job(now, std::move(done));
    became(true);
  }
  void on_deadline(Time now) override {
    service_.on_deadline(now);
    became(true);
  }
  void on_link(Time now, LinkState state) override {
    service_.on_link(now, state);
    became(true);
  }
  void on_end(Time now, const Error& why) override {
    service_.on_end(now, why);
    became(true);
  }
  std::optional<ServiceOutput> poll_output(Time now, const Room& room) override {
    auto output = service_.poll_output(now, room);
    if (output.has_value()) {
      if (const auto* message = std::get_if<Message>(&*output)) {
        note(*message);
      } else {
        const Job& job = std::get<Job>(*output);
        writer_.put(trace::Ordered{number_, static_cast<std::uint8_t>(job.where), job.id.value()});
      }
    }
    became(true);
    return output;
  }
  std::optional<Time> next_deadline() const override { return service_.next_deadline(); }
  std::size_t held() const override { return service_.held(); }
  void check() const override { service_.check(); }

  void became(bool inside) {
    const std::uint64_t held = service_.held();
    const std::optional<Time> deadline = service_.next_deadline();
    if (held == held_ && deadline == deadline_) return;
    held_ = held;
    deadline_ = deadline;
    trace::Became record{number_, inside, held, {}};
    if (deadline.has_value()) record.deadline = to_trace(*deadline);
    writer_.put(record);
  }

 private:
  void note(const Message& message) {
    trace::Said said;
    said.service = number_;
    said.lane = static_cast<std::uint8_t>(message.lane);
    said.body = to_trace(message.body.bytes(), writer_.keeps_payloads());
    said.key = message.key;
    if (message.deadline.has_value()) said.deadline = to_trace(*message.deadline);
    writer_.put(said);
  }

  Service& service_;
  TraceWriter& writer_;
  const std::uint8_t number_;
  std::uint64_t held_ = 0;
  std::optional<Time> deadline_;
};

Recording::Recording(Time now, const SessionKeys& keys, const SessionOptions& options,
                     std::span<Service* const> services, bool dials)
    : writer_(*options.trace, options.trace_payloads) {
  trace::Begin begin;
  begin.at = to_trace(now);
  begin.dials = dials;
  begin.expects_bulk = options.expects_bulk;
  begin.keeps_payloads = options.trace_payloads;
  begin.services = static_cast<std::uint8_t>(services.size());
  begin.addresses = dials ? options.addresses : 0;
  begin.bulk_paths_max = options.bulk_paths_max;
  begin.window_bytes = options.window_bytes;
  begin.rate_limit = options.rate_limit.value();
  begin.outage_max = options.outage_max.count();
  begin.learned_rate = options.learned.rate.value();
  begin.learned_rtt = options.learned.rtt_min.count();
  begin.learned_loss_ppm = options.learned.loss_ppm;
  begin.learned_paths = options.learned.bulk_paths;
  begin.learned_bbr = options.learned.bbr;
  writer_.put(begin);
  for (Service* service : services) {
    const auto number = static_cast<std::uint8_t>(services_.size());
    services_.push_back(std::make_unique<Listener>(*service, writer_, number));
    services_.back()->became(false);
  }
  paths_ = std::make_unique<Paths>(keys, *options.buffers, writer_);
}

Recording::~Recording() = default;

std::vector<Service*> Recording::services() const {
  std::vector<Service*> out;
  for (const auto& service : services_) out.push_back(service.get());
  return out;
}

PathMaker* Recording::paths() {
  return paths_.get();
}

void Recording::told(const Record& input) {
  for (const auto& service : services_) service->became(false);
  writer_.put(input);
}

void Recording::told_of(Time now, Arrival& arrival, const Association* association) {
  trace::Adopted record;
  record.at = to_trace(now);
  record.hello = arrival.hello;
  record.hello.session = {};
  record.hello.proof = {};
  record.hello.credential.clear();
  record.proven =
      association != nullptr && proven(*association, *arrival.stream, arrival.hello.proof);
  record.peer = arrival.stream->peer();
  record.output_bytes = static_cast<std::uint32_t>(arrival.stream->output_bytes());
  told(record);
  arrival.stream = paths_->listen(std::move(arrival.stream));
}

void Recording::did(const std::optional<Output>& output) {
  if (output.has_value()) {
    writer_.put(trace::Did{in_words(*output)});
  } else {
    writer_.put(trace::Drained{});
  }
}

}  // namespace longhaul::session
