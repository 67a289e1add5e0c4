// CompletionStream: the answer of an OpenAI-compatible server to one streamed request, from its
// bytes in any split: HTTP/1.1 head, a body that is plain or chunked, server-sent events in it, and
// of each event how much it brought. What a stranger sends is bounded: kLimit, kMalformed, or what
// the server says went wrong. Pure.
//
//   CompletionStream answer;
//   const auto heard = TRY(answer.take(bytes));   // heard.pieces: events that brought text
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

class CompletionStream {
 public:
  struct Heard {
    std::uint32_t pieces = 0;
    bool done = false;  // all that is to come has come
  };
  Result<Heard> take(std::string_view bytes);
  // The connection has ended: kLink if more was to come.
  Result<> end() const;
  // What the server says that it read and made; nothing, if it does not say.
  std::optional<std::uint64_t> prompt_tokens() const { return prompt_tokens_; }
  std::optional<std::uint64_t> made_tokens() const { return made_tokens_; }

 private:
  enum class At : std::uint8_t { kHead, kPlain, kChunkSize, kChunk, kChunkEnd, kTrailer, kDone };
  Result<> read_head(std::string_view head, std::string_view body);
  Result<> read_chunk_size(std::string_view line);
  Result<> take_body(std::string_view bytes, Heard& heard);
  Result<> take_event_line(std::string_view line, Heard& heard);
  Result<> take_event(std::string_view json, Heard& heard);

  At at_ = At::kHead;
  std::string held_;                   // of the head, or of a line of chunked coding
  std::string line_;                   // of the events
  std::optional<std::uint64_t> left_;  // of a chunk, or of a plain body whose length was told
  bool told_all_ = false;              // "[DONE]" came
  std::optional<std::uint64_t> prompt_tokens_, made_tokens_;
};

}  // namespace longhaul::trainer
