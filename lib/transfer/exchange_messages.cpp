// What an Exchange does with each message of its twin. Decoding judges form and size; here it is
// judged whether the peer may say this now. What comes for a transfer that is over is dropped: it
// was on its way.
#include "lib/base/escape.hpp"
#include "lib/transfer/exchange.hpp"

namespace longhaul::transfer {

using session::Lane;
using wire::TransferMessage;

namespace {
Slice packed(const TransferMessage& message) {
  return Slice::copy_of(wire::encode(message));
}
// Somebody waits for it: a small one goes as control, which waits behind nothing and is repeated
// over other connections while the link loses packets.
Lane lane_of_answer(const Slice& page) {
  return page.size() <= session::kControlMessageMax ? Lane::kControl : Lane::kDemand;
}
constexpr std::size_t kAnswersMax = 16;         // of the peer's requests at once
constexpr std::size_t kEarlyAnswersMax = 1024;  // pages out of order
// What they take in memory, all questions together. Full: the peer broke the protocol.
constexpr std::size_t kEarlyAnswerBytesMax = 64U << 20;
// Refusals the peer has not let us send. Full: it asks and does not read; the session ends.
constexpr std::size_t kRefusalBytesMax = 64U << 10;
constexpr std::uint8_t kSegmentTag = 3;
static_assert(
    std::is_same_v<std::variant_alternative_t<kSegmentTag, TransferMessage>, wire::Segment>);
}  // namespace

bool Exchange::is_peers(TransferId id) const {
  return id.value() != 0 && (id.value() % 2 == 1) == (side_ == Side::kListener);
}

Exchange::Entry* Exchange::find(TransferId id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}
Receiver* Exchange::receiver_of(TransferId id) {
  Entry* entry = find(id);
  return entry == nullptr ? nullptr : entry->receiver.get();
}
Sender* Exchange::sender_of(TransferId id) {
  Entry* entry = find(id);
  return entry == nullptr ? nullptr : entry->sender.get();
}

// The receiver of a transfer whose offer may still be on its way on the control lane.
Receiver* Exchange::early_receiver(TransferId id) {
  if (Receiver* receiver = receiver_of(id)) return receiver;
  if (!is_peers(id) || id.value() <= last_peers_ || host_ == nullptr || entries_.contains(id))
    return nullptr;
  if (entries_.size() >= kTransfersMax) return nullptr;
  Entry entry;
  entry.receiver =
      std::make_unique<Receiver>(id, options_.clocks.stages, options_.peer_knows_demand);
  return entries_.emplace(id, std::move(entry)).first->second.receiver.get();
}

void Exchange::refuse(Time now, TransferId id, const Error& why) {
  wire::Stop stop;
  stop.transfer = id;
  stop.kind = why.kind();
  stop.text = printable(why.message(), wire::kReasonMax);
  refuse(now, Lane::kControl, packed(stop));
}

void Exchange::refuse(Time now, Lane lane, Slice refusal) {
  refusals_.message(lane, std::move(refusal));
  if (refusals_.queued_bytes() > kRefusalBytesMax)
    broken(now, Error(Kind::kLimit, "answer", "the peer asks on and on and reads no answer"));
}

void Exchange::broken(Time now, Error why) {
  events_.push_back(PeerBroken{why});
  on_end(now, why);
}

void Exchange::on_message(Time now, Lane, Slice message) {
  if (over_) return;
  if (!message.empty() && message.bytes()[0] == std::byte{kSegmentTag}) {
    take_segment(now, std::move(message));
  } else {
    auto decoded = wire::decode<TransferMessage>(message);
    if (!decoded) return broken(now, decoded.error());
    std::visit([this, now](auto& one) { take(now, one); }, *decoded);
  }
  settle(now);
}

// A segment is decoded in a job; its first fields say where it belongs.
void Exchange::take_segment(Time now, Slice message) {
  wire::Reader reader(message.bytes());
  reader.byte();
  const TransferId id(reader.varint());
  const std::uint64_t attempt = reader.varint(0xffffffff);
  const std::uint64_t number = reader.varint(0xffffffff);
  if (reader.failed()) return broken(now, Error(Kind::kMalformed, "decode Segment"));
  if (Receiver* receiver = early_receiver(id))
    receiver->on_segment(now, static_cast<std::uint32_t>(attempt),
                         static_cast<std::uint32_t>(number), std::move(message));
}

void Exchange::take(Time, const wire::Segment&) {
  ASSERT(false);
}  // never decoded here

void Exchange::take(Time now, const wire::Offer& offer) {
  const TransferId id = offer.transfer;
  Receiver* receiver = receiver_of(id);
  if (receiver != nullptr && !receiver->waiting_for_offer())
    return receiver->on_offer(now, offer, nullptr);
  if (!is_peers(id) || id.value() <= last_peers_) {
    if (find(id) == nullptr && id.value() <= last_peers_ && is_peers(id)) return;  // over
    return broken(now,
                  Error(Kind::kMalformed, "take an offer", "its number is not the peer's to give"));
  }
  last_peers_ = id.value();
  receiver = early_receiver_for_offer(id);
  Result<std::shared_ptr<Sink>> sink =
      fail(Kind::kPermission, "receive " + printable(offer.dataset), "this end takes no datasets");
  if (host_ != nullptr) sink = host_->receive(offer);
  if (receiver == nullptr)
    sink = fail(Kind::kBusy, "receive " + printable(offer.dataset), "too many transfers");
  if (receiver != nullptr) find(id)->dataset = offer.dataset;
  if (!sink && receiver == nullptr) return refuse(now, id, sink.error());
  if (!sink) return receiver->stop(now, sink.error(), true);
  receiver->on_offer(now, offer, *std::move(sink));
}

Receiver* Exchange::early_receiver_for_offer(TransferId id) {
  if (Receiver* receiver = receiver_of(id)) return receiver;
  if (entries_.size() >= kTransfersMax) return nullptr;
  Entry entry;
  entry.receiver =
      std::make_unique<Receiver>(id, options_.clocks.stages, options_.peer_knows_demand);
  return entries_.emplace(id, std::move(entry)).first->second.receiver.get();
}

template <class Fetch>
void Exchange::take_fetch(Time now, const Fetch& fetch, std::string_view what) {
  const TransferId id = fetch.transfer;
  if (!is_peers(id) || id.value() <= last_peers_ || entries_.contains(id))
    return broken(now,
                  Error(Kind::kMalformed, "take a fetch", "its number is not the peer's to give"));
  last_peers_ = id.value();
  if (host_ == nullptr)
    return refuse(
        now, id,
        Error(Kind::kPermission, "send " + printable(what), "this end offers no datasets"));
  if (entries_.size() >= kTransfersMax)
    return refuse(now, id, Error(Kind::kBusy, "send " + printable(what), "too many transfers"));
  auto work = host_->send(fetch);
  if (!work) return refuse(now, id, work.error());
  Entry entry;
  entry.dataset = std::string(what);
  entry.fetching = true;
  entry.unfinished = fetch.unfinished;
  entries_.emplace(id, std::move(entry));
  tasks_.emplace_back(Task{JobClass::kDisk, *std::move(work)}, id);
}
template void Exchange::take_fetch(Time, const wire::Fetch&, std::string_view);
template void Exchange::take_fetch(Time, const wire::FetchCheckpoint&, std::string_view);

void Exchange::fetched(Time now, TransferId id, FetchWork& work) {
  Entry& entry = *find(id);
  entry.fetching = false;
  if (entry.stopped || work.error) {
    if (work.error && !over_) refuse(now, id, *work.error);
    entries_.erase(id);
    return;
  }
  SendOptions send = send_options(entry.dataset, entry.pace);
  SiteMemory memory;
  memory.unfinished = entry.unfinished;
  memory.base = std::move(work.base);
  entry.sender =
      std::make_unique<Sender>(id, std::move(send), std::move(work.source), std::move(memory));
  entry.sender->on_link(now, link_up_ ? session::LinkState::kUp : session::LinkState::kDown);
  entry.sender->start(now);
}

void Exchange::take(Time now, const wire::Admit& accept) {
  if (Sender* sender = sender_of(accept.transfer)) sender->on_accept(now, accept);
}
void Exchange::take(Time now, const wire::Want& want) {
  if (Sender* sender = sender_of(want.transfer)) sender->on_want(now, want);
}
void Exchange::take(Time now, const wire::Demand& demand) {
  if (Sender* sender = sender_of(demand.transfer)) sender->on_demand(now, demand);
}
void Exchange::take(Time now, const wire::Receipt& receipt) {
  if (Sender* sender = sender_of(receipt.transfer)) sender->on_receipt(now, receipt);
}
void Exchange::take(Time now, const wire::Beat& beat) {
  if (Receiver* receiver = receiver_of(beat.transfer)) receiver->on_beat(now);
}

// Only of what the peer asked for: a push goes as fast as its own user says.
void Exchange::take(Time, const wire::Pace& pace) {
  Entry* entry = find(pace.transfer);
  if (entry == nullptr || entry->mine || entry->receiver) return;
  entry->pace.reset();
  if (pace.bytes_per_second > 0) entry->pace = BytesPerSecond(pace.bytes_per_second);
  if (entry->sender) entry->sender->pace(entry->pace);
}

void Exchange::take(Time now, const wire::Committed& committed) {
  if (Sender* sender = sender_of(committed.transfer)) sender->on_committed(now, committed);
}
void Exchange::take(Time now, wire::Block& block) {
  if (Receiver* receiver = early_receiver(block.transfer))
    receiver->on_block(now, std::move(block));
}
void Exchange::take(Time now, const wire::Seal& seal) {
  if (Receiver* receiver = receiver_of(seal.transfer)) receiver->on_seal(now, seal);
}

void Exchange::take(Time now, const wire::Stop& stop) {
  if (is_peers(stop.transfer) && stop.transfer.value() > last_peers_)
    last_peers_ = stop.transfer.value();
  Entry* entry = find(stop.transfer);
  if (entry == nullptr) return;
  // The peer's words, with its kind: a full disk there is "no-space" here too.
  const Error why(stop.kind, std::string(kAskThePeer), printable(stop.text, wire::kReasonMax));
  entry->stopped = true;
  if (entry->sender) entry->sender->stop(now, why, false);
  if (entry->receiver) entry->receiver->stop(now, why, false);
}

// --- requests ---

RequestId Exchange::ask(Time, wire::AskType type, std::string dataset, std::uint64_t version) {
  const RequestId id(next_request_++);
  if (over_) {
    events_.push_back(
        Answered{id, Error(Kind::kLink, std::string(kAskThePeer), "the session is over"), {}});
    return id;
  }
  if (dataset.size() > wire::kDatasetNameMax) {
    events_.push_back(
        Answered{id, Error(Kind::kUsage, "ask for a dataset", "its name is too long"), {}});
    return id;
  }
  wire::Ask ask;
  ask.request = id;
  ask.type = type;
  ask.dataset = std::move(dataset);
  ask.version = version;
  questions_.emplace(id, Question());
  post_.message(Lane::kControl, packed(ask));
  return id;
}

void Exchange::take(Time now, const wire::Ask& ask) {
  if (answering_.contains(ask.request))
    return broken(now, Error(Kind::kMalformed, "take a request", "its number is in use"));
  Result<std::unique_ptr<AskWork>> work =
      fail(Kind::kPermission, "answer", "this end has no datasets");
  if (host_ != nullptr) work = host_->answer(ask);
  if (answering_.size() >= kAnswersMax) work = fail(Kind::kBusy, "answer", "too many requests");
  if (!work) {
    wire::Answer answer;
    answer.request = ask.request;
    wire::Outcome outcome;
    outcome.failed = work.error().kind();
    outcome.text = printable(work.error().message(), wire::kReasonMax);
    answer.last = outcome;
    Slice refusal = packed(answer);
    const Lane lane = lane_of_answer(refusal);
    return refuse(now, lane, std::move(refusal));
  }
  answering_.emplace(ask.request, 0);
  tasks_.emplace_back(Task{JobClass::kDisk, *std::move(work)}, ask.request);
}

void Exchange::answered(RequestId id, Job job) {
  const auto found = answering_.find(id);
  if (found == answering_.end()) return;  // the session ended
  auto& work = job.as<AskWork>();
  wire::Answer answer;
  answer.request = id;
  answer.number = found->second++;
  answer.lines = std::move(work.lines);
  answer.last = work.last;
  work.lines = {};
  Slice page = packed(answer);
  const Lane lane = lane_of_answer(page);
  post_.message(lane, std::move(page));
  if (answer.last) {
    answering_.erase(found);
    return;
  }
  next_pages_.emplace_back(Task{JobClass::kDisk, std::move(job.work)}, id);
}

std::size_t Exchange::memory_of(const wire::Answer& answer) {
  std::size_t bytes = sizeof answer;
  for (const wire::Line& line : answer.lines)
    bytes += sizeof line + line.name.size() + line.note.size();
  return bytes;
}

void Exchange::take(Time now, wire::Answer& answer) {
  const auto found = questions_.find(answer.request);
  if (found == questions_.end()) return;
  Question& question = found->second;
  if (answer.number < question.next || question.early.contains(answer.number) ||
      question.early.size() >= kEarlyAnswersMax)
    return broken(now, Error(Kind::kMalformed, "take an answer", "its pages do not follow"));
  const RequestId id = answer.request;
  early_answer_bytes_ += memory_of(answer);
  question.early.emplace(answer.number, std::move(answer));
  for (auto page = question.early.begin();
       page != question.early.end() && page->first == question.next;
       page = question.early.begin()) {
    early_answer_bytes_ -= memory_of(page->second);
    if (!page->second.lines.empty()) events_.push_back(Page{id, std::move(page->second.lines)});
    if (const auto& last = page->second.last) {
      std::optional<Error> error;
      if (last->failed)
        error = Error(*last->failed, std::string(kAskThePeer), printable(last->text));
      events_.push_back(Answered{id, std::move(error), *last});
      for (const auto& [number, beyond] : question.early)
        if (number != page->first) early_answer_bytes_ -= memory_of(beyond);
      questions_.erase(found);
      return;
    }
    question.early.erase(page);
    ++question.next;
  }
  if (early_answer_bytes_ > kEarlyAnswerBytesMax)
    broken(now, Error(Kind::kLimit, "take an answer", "its pages do not follow"));
}

}  // namespace longhaul::transfer
