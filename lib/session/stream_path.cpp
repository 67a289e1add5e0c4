#include "lib/session/stream_path.hpp"

#include <algorithm>

namespace longhaul::session {

StreamPath::StreamPath(std::unique_ptr<crypto::TlsEngine> engine, BufferPool& pool)
    : engine_(std::move(engine)), pool_(&pool) {
  collect();
}

Result<> StreamPath::feed(const Slice& in) {
  bytes_in_ += in.size();
  engine_->on_ciphertext(in);
  collect();
  if (engine_->error().has_value()) return fail(*engine_->error());
  return {};
}

// A failed engine says so in error(), whose owner looks there after each turn.
void StreamPath::seal(Bytes frame) {
  static_cast<void>(engine_->write_plaintext(frame));
  collect();
}

void StreamPath::send_close() {
  engine_->close();
  collect();
}

void StreamPath::collect() {
  for (;;) {
    Slice bytes = engine_->poll_ciphertext();
    if (bytes.empty()) return;
    output_bytes_ += bytes.size();
    output_.push(std::move(bytes));
  }
}

Slice StreamPath::take_output() {
  if (output_.empty()) return {};
  output_bytes_ -= output_.front().size();
  return output_.pop();
}

crypto::Digest StreamPath::exported(std::string_view label) const {
  const ByteVector secret = engine_->exporter(label, {}, crypto::Digest::kSize);
  return crypto::Digest(std::span<const std::byte, crypto::Digest::kSize>(secret));
}

ByteVector StreamPath::exported_for(std::string_view label, Bytes context, std::size_t size) const {
  return engine_->exporter(label, context, size);
}

Result<std::optional<StreamPath::Frame>> StreamPath::next_frame() {
  for (;;) {
    auto raw = TRY(cut_frame());
    if (!raw.has_value()) {
      here_ = TRY(engine_->read_plaintext());
      collect();  // an answer to a key update
      if (here_.empty()) return std::nullopt;
      continue;
    }
    const auto type = TRY(wire::judge_frame_type(raw->type));
    if (type.has_value()) return Frame{*type, std::move(raw->body)};
  }
}

// Our own frames fill one record each, so that here_ mostly is exactly one frame and its payload a
// part of it, without a copy. Frames cut otherwise are put together in partial_.
Result<std::optional<StreamPath::Raw>> StreamPath::cut_frame() {
  if (!partial_.empty()) return cut_partial();
  const auto header = TRY(wire::read_frame_header(here_.bytes()));
  if (header.has_value() && here_.size() - wire::kFrameHeaderBytes >= header->body_bytes) {
    Raw raw{header->type, here_.part(wire::kFrameHeaderBytes, header->body_bytes)};
    here_ = here_.from(wire::kFrameHeaderBytes + header->body_bytes);
    return raw;
  }
  append(partial_, here_.bytes());
  here_ = {};
  return std::nullopt;
}

Result<std::optional<StreamPath::Raw>> StreamPath::cut_partial() {
  const auto take = [this](std::size_t until) {
    const std::size_t bytes = std::min(until - std::min(until, partial_.size()), here_.size());
    append(partial_, here_.bytes().first(bytes));
    here_ = here_.from(bytes);
    return partial_.size() >= until;
  };
  if (!take(wire::kFrameHeaderBytes)) return std::nullopt;
  const auto header = TRY(wire::read_frame_header(partial_));
  if (!take(wire::kFrameHeaderBytes + header->body_bytes)) return std::nullopt;
  Buffer body = pool_->take(std::max<std::size_t>(1, header->body_bytes));
  std::copy_n(partial_.begin() + wire::kFrameHeaderBytes, header->body_bytes, body.bytes().begin());
  partial_.clear();
  return Raw{header->type, std::move(body).freeze(header->body_bytes)};
}

}  // namespace longhaul::session
