#include "lib/transfer/exchange.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"
#include "lib/session/handshake.hpp"

namespace longhaul::transfer {

using session::Lane;
using wire::TransferMessage;

namespace {

TransferMessage fetch_of(TransferId id, const Exchange::PullOptions& options) {
  const std::string what = options.dataset.substr(0, wire::kDatasetNameMax);
  if (options.checkpoint) {
    wire::FetchCheckpoint fetch;
    fetch.transfer = id;
    fetch.run = what;
    fetch.step = options.checkpoint->step;
    fetch.full = options.checkpoint->full;
    fetch.unfinished = options.unfinished;
    return fetch;
  }
  wire::Fetch fetch;
  fetch.transfer = id;
  fetch.dataset = what;
  fetch.version = options.version;
  fetch.base = options.base;
  fetch.unfinished = options.unfinished;
  return fetch;
}

}  // namespace

Exchange::Exchange(Side side, Host* host, ExchangeOptions options)
    : side_(side),
      host_(host),
      options_(std::move(options)),
      next_transfer_(side == Side::kDialer ? 1 : 2) {}

SendOptions Exchange::send_options(std::string dataset, std::optional<BytesPerSecond> limit) const {
  SendOptions send;
  send.dataset = std::move(dataset);
  send.limit = limit;
  send.encode_jobs = options_.encode_jobs;
  send.cores = options_.cores;
  send.link = options_.link;
  send.clocks = options_.clocks;
  send.peer_knows_base_parts = options_.peer_knows_base_parts;
  return send;
}

// --- the program's side ---

TransferId Exchange::start_push(Time now, PushOptions options, std::shared_ptr<Source> source,
                                SiteMemory memory) {
  const TransferId id(std::exchange(next_transfer_, next_transfer_ + 2));
  SendOptions send = send_options(options.dataset, options.limit);
  Entry entry;
  entry.mine = true;
  entry.dataset = std::move(options.dataset);
  entry.sender =
      std::make_unique<Sender>(id, std::move(send), std::move(source), std::move(memory));
  Sender& sender = *entry.sender;
  entries_.emplace(id, std::move(entry));
  sender.on_link(now, link_up_ ? session::LinkState::kUp : session::LinkState::kDown);
  if (over_)
    sender.stop(now, Error(Kind::kLink, "start a transfer", "the session is over"), false);
  else if (entries_.at(id).dataset.size() > wire::kDatasetNameMax)
    sender.stop(now, Error(Kind::kUsage, "name a dataset", "the name is too long"), false);
  else
    sender.start(now);
  settle(now);
  return id;
}

TransferId Exchange::start_pull(Time now, PullOptions options, std::shared_ptr<Sink> sink) {
  const TransferId id(std::exchange(next_transfer_, next_transfer_ + 2));
  const wire::TransferMessage fetch = fetch_of(id, options);
  Entry entry;
  entry.mine = true;
  entry.dataset = std::move(options.dataset);
  entry.receiver =
      std::make_unique<Receiver>(id, options_.clocks.stages, options_.peer_knows_demand);
  Receiver& receiver = *entry.receiver;
  entries_.emplace(id, std::move(entry));
  receiver.on_link(now, link_up_ ? session::LinkState::kUp : session::LinkState::kDown);
  if (over_)
    receiver.stop(now, Error(Kind::kLink, "start a transfer", "the session is over"), false);
  else if (entries_.at(id).dataset.size() > wire::kDatasetNameMax)
    receiver.stop(now, Error(Kind::kUsage, "name a dataset", "the name is too long"), false);
  else
    receiver.fetch(now, std::move(sink), fetch, options.limit);
  settle(now);
  return id;
}

void Exchange::cancel(Time now, TransferId transfer) {
  Entry* entry = find(transfer);
  if (entry == nullptr) return;
  const Error why(Kind::kInterrupted, "finish " + printable(entry->dataset), "cancelled");
  if (entry->sender) entry->sender->stop(now, why, true);
  if (entry->receiver) entry->receiver->stop(now, why, true);
  entry->stopped = true;
  settle(now);
}

void Exchange::learn_peer(std::uint64_t capabilities) {
  const bool knows = (capabilities & session::kCapabilityBaseParts) != 0;
  options_.peer_knows_base_parts = knows;
  for (auto& [id, entry] : entries_)
    if (entry.sender) entry.sender->learn_peer(knows);
}

std::optional<Event> Exchange::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::optional<Progress> Exchange::progress(Time now, TransferId transfer) const {
  const auto found = entries_.find(transfer);
  if (found == entries_.end()) return std::nullopt;
  if (found->second.sender) return found->second.sender->progress(now);
  if (found->second.receiver) return found->second.receiver->progress(now);
  return std::nullopt;
}

std::vector<TransferId> Exchange::transfers() const {
  std::vector<TransferId> ids;
  for (const auto& [id, entry] : entries_) ids.push_back(id);
  return ids;
}

// --- the session's side ---

void Exchange::on_link(Time now, session::LinkState state) {
  link_up_ = state == session::LinkState::kUp;
  for (auto& [id, entry] : entries_) {
    if (entry.sender) entry.sender->on_link(now, state);
    if (entry.receiver) entry.receiver->on_link(now, state);
  }
}

void Exchange::on_end(Time now, const Error& why) {
  over_ = true;
  for (auto& [id, entry] : entries_) {
    const Error error(Kind::kLink, "finish " + printable(entry.dataset), why.message());
    if (entry.sender) entry.sender->stop(now, error, false);
    if (entry.receiver) entry.receiver->stop(now, error, false);
    entry.stopped = true;
  }
  for (const auto& [id, question] : questions_)
    events_.push_back(Answered{id, Error(Kind::kLink, "get an answer", why.message()), {}});
  questions_.clear();
  post_.clear();
  refusals_.clear();
  tasks_.clear();
  next_pages_.clear();
  early_answer_bytes_ = 0;
  answering_.clear();
  settle(now);
}

void Exchange::on_job(Time now, Job done) {
  const auto found = jobs_.find(done.id);
  ASSERT(found != jobs_.end());
  const JobOwner owner = found->second;
  jobs_.erase(found);
  if (const auto* request = std::get_if<RequestId>(&owner)) {
    answered(*request, std::move(done));
    return;
  }
  const TransferId id = std::get<TransferId>(owner);
  Entry* entry = find(id);
  ASSERT(entry != nullptr);
  if (entry->fetching)
    fetched(now, id, done.as<FetchWork>());
  else if (entry->sender)
    entry->sender->on_job(now, *done.work);
  else
    entry->receiver->on_job(now, *done.work);
  settle(now);
}

void Exchange::on_deadline(Time now) {
  for (auto& [id, entry] : entries_) {
    if (entry.sender) entry.sender->on_deadline(now);
    if (entry.receiver) entry.receiver->on_deadline(now);
  }
  settle(now);
}

std::optional<Time> Exchange::next_deadline() const {
  std::optional<Time> due;
  for (const auto& [id, entry] : entries_) {
    const auto one = entry.sender     ? entry.sender->next_deadline()
                     : entry.receiver ? entry.receiver->next_deadline()
                                      : std::nullopt;
    if (one && (!due || *one < *due)) due = one;
  }
  return due;
}

session::ServiceOutput Exchange::number(Output output, JobOwner owner) {
  if (auto* message = std::get_if<session::Message>(&output)) return std::move(*message);
  Task& task = std::get<Task>(output);
  const JobId id = std::exchange(next_job_, next_job_.next());
  jobs_.emplace(id, owner);
  return Job{id, task.where, std::move(task.work)};
}

std::optional<session::ServiceOutput> Exchange::poll_output(Time now, const session::Room& room) {
  if (!tasks_.empty()) {
    auto [task, owner] = std::move(tasks_.front());
    tasks_.pop_front();
    return number(Output(std::move(task)), owner);
  }
  // A peer that reads slowly gets its pages at that pace; each is made when the ones before left.
  if (!next_pages_.empty() && post_.queued_bytes() < kAnswersQueuedMax) {
    auto [task, owner] = std::move(next_pages_.front());
    next_pages_.pop_front();
    return number(Output(std::move(task)), owner);
  }
  session::Room open = room;
  if (over_) open = session::Room{};  // jobs only
  for (Post* post : {&post_, &refusals_})
    if (auto output = post->next(open)) return number(std::move(*output), RequestId());
  // From the one behind the last that had something: transfers take turns block by block.
  auto at = entries_.upper_bound(turn_);
  for (std::size_t left = entries_.size(); left > 0; --left) {
    if (at == entries_.end()) at = entries_.begin();
    const TransferId id = at->first;
    Entry& entry = at->second;
    ++at;
    auto output = entry.sender     ? entry.sender->poll(now, open)
                  : entry.receiver ? entry.receiver->poll(now, open)
                                   : std::nullopt;
    if (!output) continue;
    turn_ = id;
    auto numbered = number(std::move(*output), id);
    settle(now);
    return numbered;
  }
  settle(now);
  return std::nullopt;
}

std::size_t Exchange::held() const {
  std::size_t bytes = 0;
  for (const auto& [id, entry] : entries_) bytes += entry.receiver ? entry.receiver->held() : 0;
  return bytes;
}

void Exchange::check() const {
  for (const auto& [id, entry] : entries_) {
    ASSERT((entry.sender ? 1 : 0) + (entry.receiver ? 1 : 0) + (entry.fetching ? 1 : 0) == 1);
    if (entry.sender) entry.sender->check();
    if (entry.receiver) entry.receiver->check();
  }
  for (const auto& [job, owner] : jobs_)
    if (const auto* id = std::get_if<TransferId>(&owner)) ASSERT(entries_.contains(*id));
}

// Tells the end of what has ended, and forgets it once none of its work is anywhere.
void Exchange::settle(Time now) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    auto& [id, entry] = *it;
    const bool ended =
        entry.sender ? entry.sender->ended() : entry.receiver && entry.receiver->ended();
    if (!ended) {
      ++it;
      continue;
    }
    const Sender* sender = entry.sender.get();
    const Receiver* receiver = entry.receiver.get();
    if (!std::exchange(entry.told, true)) {
      Finished finished;
      finished.transfer = id;
      finished.mine = entry.mine;
      finished.sending = sender != nullptr;
      finished.dataset = entry.dataset;
      const bool done = sender ? sender->state() == Sender::State::kDone
                               : receiver->state() == Receiver::State::kDone;
      if (!done) finished.error = sender ? sender->error() : receiver->error();
      if (done) finished.committed = sender ? sender->committed() : receiver->committed();
      finished.progress = sender ? sender->progress(now) : receiver->progress(now);
      if (done && sender) finished.tree = sender->tree();
      events_.push_back(std::move(finished));
    }
    const bool idle = sender ? sender->idle(over_) : receiver->idle(over_);
    it = idle ? entries_.erase(it) : std::next(it);
  }
}

}  // namespace longhaul::transfer
