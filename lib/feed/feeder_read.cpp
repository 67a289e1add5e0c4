// How a Feeder serves what runs print: one part read ahead, pulled at the link's pace.
#include "lib/base/escape.hpp"
#include "lib/feed/feeder.hpp"
#include "lib/feed/run_files.hpp"

namespace longhaul::feed {

using session::Lane;
using wire::FeedMessage;

namespace {

wire::OutputPart end_of(wire::FeedRequest id, Kind kind, std::string text) {
  wire::OutputPart part;
  part.request = id;
  part.last = true;
  part.failed = kind;
  if (text.size() > wire::kRunReasonMax) text.resize(wire::kRunReasonMax);
  part.text = std::move(text);
  return part;
}

}  // namespace

void Feeder::take(Time now, const wire::ReadOutput& read) {
  const auto folder = run_folder(read.run);
  std::optional<wire::OutputPart> refused;
  if (!options_.may_watch)
    refused = end_of(read.request, Kind::kAuth, "this node's role does not allow it");
  else if (!folder)
    refused = end_of(read.request, folder.error().kind(), folder.error().why());
  else if (readings_.size() >= kReadingsMax || readings_.contains(read.request))
    refused = end_of(read.request, Kind::kBusy, "too many such requests");
  if (refused) {
    return queue(Lane::kDemand, *refused);
  }
  Reading& reading = readings_[read.request];
  reading.folder = *folder;
  reading.place = {read.offset, read.from_end};
  reading.follow = read.follow;
  reading.look_at = now;
}

std::optional<Job> Feeder::next_read(Time now) {
  for (auto& [id, reading] : readings_) {
    if (reading.out || reading.ready || now < reading.look_at) continue;
    reading.out = true;
    return hand_out(ReadJob{id}, JobClass::kDisk,
                    std::make_unique<OutputWork>(files_, reading.folder, reading.place));
  }
  return std::nullopt;
}

void Feeder::read_done(Time now, wire::FeedRequest id, OutputWork& work) {
  Reading& reading = readings_.at(id);
  reading.out = false;
  if (work.error) {
    const bool none = work.error->kind() == Kind::kNotFound;
    reading.ready = end_of(
        id, work.error->kind(),
        none ? "it has no output here"
             : printable(work.error->why().empty() ? work.error->message() : work.error->why()));
    reading.ready->number = reading.number;
    return;
  }
  reading.place = work.place;
  reading.look_at = now + (work.bytes.empty() ? kOutputLook : Duration{});
  // An empty part says where the end is, once.
  if (work.bytes.empty() && reading.follow && reading.number > 0) return;
  wire::OutputPart part;
  part.request = id;
  part.number = reading.number;
  part.offset = work.begin;
  part.size = work.size;
  part.bytes = Slice::copy_of(work.bytes);
  part.last = !reading.follow && work.place.offset >= work.size;
  reading.ready = std::move(part);
}

std::optional<session::Message> Feeder::next_part() {
  for (auto at = readings_.begin(); at != readings_.end(); ++at) {
    if (!at->second.ready) continue;
    const wire::OutputPart part = *std::exchange(at->second.ready, std::nullopt);
    ++at->second.number;
    if (part.last) readings_.erase(at);
    session::Message out;
    out.lane = Lane::kDemand;
    out.body = Slice::copy_of(wire::encode(FeedMessage(part)));
    return out;
  }
  return std::nullopt;
}

}  // namespace longhaul::feed
