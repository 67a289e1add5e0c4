#include "lib/session/replay_script.hpp"

#include <algorithm>
#include <array>

namespace longhaul::session {

using trace::Record;

namespace {

std::string in_words(const Record& record) {
  static constexpr std::array kNames = {"begin",
                                        "a connection adopted",
                                        "a dial's end",
                                        "bytes in",
                                        "a connection's end",
                                        "room",
                                        "what the kernel knows",
                                        "a job's end",
                                        "a call",
                                        "a rate limit",
                                        "the end",
                                        "a connection's turn",
                                        "a frame in",
                                        "a bad frame",
                                        "bytes out",
                                        "a message",
                                        "a job",
                                        "a service's state",
                                        "a frame",
                                        "a delivery",
                                        "an output",
                                        "nothing more"};
  static_assert(kNames.size() == std::variant_size_v<Record>);
  if (const auto* did = std::get_if<trace::Did>(&record)) return did->what;
  if (const auto* sent = std::get_if<trace::Sent>(&record)) {
    const auto type = wire::judge_frame_type(sent->type);
    std::string name = std::to_string(sent->type);
    if (type.has_value() && type->has_value()) {
      for (const auto& known : wire_values(wire::FrameType{}))
        if (known.value == **type) name = known.name;
    }
    return "frame " + name + " of " + std::to_string(sent->head.size()) + " + " +
           std::to_string(sent->payload.bytes) + " bytes on connection " +
           std::to_string(sent->path) + " (" +
           to_hex(Bytes(sent->head).first(std::min<std::size_t>(24, sent->head.size()))) + ")";
  }
  if (const auto* message = std::get_if<trace::Delivered>(&record)) {
    return "a message of " + std::to_string(message->bytes) + " bytes on lane " +
           std::to_string(message->lane) + " to service " + std::to_string(message->service);
  }
  return kNames[record.index()];
}

bool is_deed(const Record& record) {
  return std::holds_alternative<trace::Sent>(record) || std::holds_alternative<trace::Did>(record);
}

}  // namespace

void Script::take() {
  if (is_deed(*next_)) recorded_.update(wire::encode(*next_));
  ++number_;
  next_.reset();
  read();
}

void Script::expect(const Record& done) {
  if (diverged()) return;
  const ByteVector bytes = wire::encode(done);
  // Behind the trace's end there is nothing to compare with: such a deed is in neither hash.
  if (is_deed(done) && next_.has_value()) replayed_.update(bytes);
  if (next_.has_value() && wire::encode(*next_) == bytes) return take();
  diverge(in_words(done));
}

void Script::diverge(std::string replayed) {
  if (diverged()) return;
  if (!next_.has_value()) {  // a trace cut short says nothing about what came then
    ended_ = true;
    return;
  }
  divergence_ = Divergence{number_ + 1, now_ - began_, in_words(*next_), std::move(replayed)};
}

void Script::at(Time now) {
  if (number_ <= 1) began_ = now;
  now_ = std::max(now_, now);
}

void Script::finish(ReplayReport& report) {
  report.records = number_;
  report.span = now_ - began_;
  report.cut = cut_;
  report.recorded_hash = recorded_.finish();
  report.replayed_hash = replayed_.finish();
  report.divergence = divergence_;
}

void Script::read() {
  wire::Reader reader(left_);
  if (left_.empty()) return;
  const auto size = static_cast<std::size_t>(reader.varint(trace::kRecordMax));
  if (reader.failed() || reader.left() < size) {
    cut_ = true;
    return;
  }
  const Bytes record = left_.subspan(left_.size() - reader.left(), size);
  left_ = left_.subspan(left_.size() - reader.left() + size);
  auto decoded = wire::decode<Record>(record);
  if (!decoded.has_value()) {
    error_ = decoded.error();
    return;
  }
  next_ = std::move(*decoded);
  // Bodies are made up again from their hashes: only their lengths can be compared.
  if (auto* sent = std::get_if<trace::Sent>(&*next_); sent != nullptr && !keeps_)
    sent->payload.kept.clear();
}

}  // namespace longhaul::session
