// The receiver's clock: when to open again, sync, tell the sender how far it is, give it up.
#include "lib/transfer/receiver.hpp"

namespace longhaul::transfer {

void Receiver::on_link(Time now, session::LinkState state) {
  link_up_ = state == session::LinkState::kUp;
  heard_ = now;  // silence counts only while there is a link
}

// A site that looks a version up may have to look at each of its files first.
Duration Receiver::silence_max() const {
  return state_ == State::kFetching ? kLookupMax : kPeerSilenceMax;
}

std::optional<Time> Receiver::next_deadline() const {
  if (ended()) return std::nullopt;
  std::optional<Time> due;
  const auto consider = [&due](std::optional<Time> at) {
    if (at && (!due || *at < *due)) due = at;
  };
  consider(retry_open_);
  if (!syncing_ && unsynced_since_ && state_ == State::kReceiving)
    consider(*unsynced_since_ + kEpochMax);
  if (link_up_) consider(receipt_due_);
  if (state_ == State::kReceiving && !looking_) consider(demand_due_);
  if (link_up_ && state_ != State::kPublishing) consider(heard_ + silence_max());
  return due;
}

void Receiver::on_deadline(Time now) {
  if (ended()) return;
  if (retry_open_ && now >= *retry_open_) {
    retry_open_.reset();
    open_wanted_ = true;
    maybe_open();
  }
  maybe_sync(now);
  if (demand_due_ && now >= *demand_due_ && !looking_) look_at_demand(now);
  if (receipt_due_ && link_up_ && now >= *receipt_due_) send_receipt(now);
  if (!link_up_ || state_ == State::kPublishing || now < heard_ + silence_max()) return;
  if (jobs_out_ > (looking_ ? 1U : 0U)) {  // our own disk is what takes so long
    heard_ = now;
    return;
  }
  fail_with(now, Error(Kind::kTimeout, "receive the tree", "the sender fell silent"));
}

void Receiver::send_receipt(Time now) {
  wire::Receipt receipt;
  receipt.transfer = id_;
  receipt.settled_bytes = progress_.bytes_done;
  receipt.synced_bytes = synced_bytes_;
  receipt.settled_files = progress_.files_done;
  post_.live(id_.value(), Slice::copy_of(wire::encode(wire::TransferMessage(receipt))));
  receipt_due_ = now + kReceiptEvery;
}

}  // namespace longhaul::transfer
