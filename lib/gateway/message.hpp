// Messages of the gateway: what a reader asks and what the desk at the site answers
// (docs/gateway.md). One message each way at a time; the number ties an answer to its question, so
// that one that comes too late is known as such. Decoding takes bytes from anybody who holds a
// pass.
#pragma once

#include <variant>

#include "lib/gateway/site.hpp"
#include "lib/wire/codec.hpp"
#include "lib/wire/kind.hpp"

namespace longhaul::gateway {

constexpr std::uint32_t kProtocolVersion = 1;
constexpr std::size_t kPartMax = 1U << 20;      // bytes of a file in one answer
constexpr std::size_t kQuestionMax = 1U << 20;  // bytes; a demand of kDemandChunksMax fits
constexpr std::size_t kAnswerMax = kPartMax + 4096;
constexpr std::size_t kWordsMax = 1024;

using NameText = wire::Text<store::kTreeNameBytesMax>;

struct AskCurrent {
  NameText dataset;
  template <class F>
  static void fields(F& f) {
    f(&AskCurrent::dataset, "dataset");
  }
};
struct AskLook {
  NameText name;  // from the ROOT
  template <class F>
  static void fields(F& f) {
    f(&AskLook::name, "name");
  }
};
struct AskPart {
  NameText name;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;  // 1 to kPartMax
  template <class F>
  static void fields(F& f) {
    f(&AskPart::name, "name");
    f(&AskPart::offset, "offset");
    f(&AskPart::bytes, "bytes");
  }
};
struct SayWant {  // also that the reader lives: one that says nothing for kReaderLife is forgotten
  NameText dataset;
  bool anything = true;  // else nothing more
  std::uint32_t urgent = 0;
  wire::List<store::ChunkId, store::kDemandChunksMax> chunks;
  template <class F>
  static void fields(F& f) {
    f(&SayWant::dataset, "dataset");
    f(&SayWant::anything, "anything");
    f(&SayWant::urgent, "urgent");
    f(&SayWant::chunks, "chunks");
  }
};

struct Leave {  // the last word of a reader
  template <class F>
  static void fields(F&) {}
};

struct Question {
  std::uint32_t version = kProtocolVersion;
  std::uint64_t number = 0;
  std::variant<AskCurrent, AskLook, AskPart, SayWant, Leave> what;
  template <class F>
  static void fields(F& f) {
    f(&Question::version, "version");
    f(&Question::number, "number");
    f(&Question::what, "what");
  }
};

struct Current {
  wire::Text<16> version;  // "v000042"; empty: there is none
  template <class F>
  static void fields(F& f) {
    f(&Current::version, "version");
  }
};
struct Looked {
  bool is_there = false;
  std::uint64_t bytes = 0;
  wire::List<std::int64_t, std::tuple_size_v<Mark>> mark;
  template <class F>
  static void fields(F& f) {
    f(&Looked::is_there, "is_there");
    f(&Looked::bytes, "bytes");
    f(&Looked::mark, "mark", "all of it, if it is there");
  }
};
struct Part {
  bool is_whole = false;  // else the file is not there, or is shorter
  wire::Blob<kPartMax> bytes;
  template <class F>
  static void fields(F& f) {
    f(&Part::is_whole, "is_whole");
    f(&Part::bytes, "bytes");
  }
};
struct Noted {
  template <class F>
  static void fields(F&) {}
};
struct Refused {
  Kind kind = Kind::kIo;
  wire::Text<kWordsMax> attempt, why;
  template <class F>
  static void fields(F& f) {
    f(&Refused::kind, "kind");
    f(&Refused::attempt, "attempt");
    f(&Refused::why, "why");
  }
};

struct Answer {
  std::uint64_t number = 0;
  std::variant<Current, Looked, Part, Noted, Refused> what;
  template <class F>
  static void fields(F& f) {
    f(&Answer::number, "number");
    f(&Answer::what, "what");
  }
};

}  // namespace longhaul::gateway
