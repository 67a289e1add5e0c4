// What ranks say to each other over the star (star.hpp), besides numbers by collectives. One frame:
//
//   u32 bytes that follow | u8 kind | u8 stop asked | u64 step | text
//
// The text of kGo is a list of settings; of kBlobs a list of every rank's text; else it is for
// people. Little-endian. docs/trainer.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "trainer/control.hpp"

namespace longhaul::trainer {

inline constexpr std::uint32_t kMaxFrame = 8U << 20;

struct Message {
  enum class Kind : std::uint8_t {
    kHello = 1,  // text: "longhaul ranks 3 RUN"; `step`: rank << 32 | ranks
    kBlob,       // to rank 0: this rank's part of an exchange
    kBlobs,      // from rank 0: all parts
    kReady,      // it holds the batch of `step`
    kWaits,      // it does not, and the text says why
    kFailed,     // it ends, by an error whose Kind is `step`; the text says why
    kGo,         // from rank 0: all hold it; text: what holds from this step on
    kEnd,        // from rank 0: it ends; by an error whose Kind is `step`, unless it is a stop
  };
  Kind kind = Kind::kReady;
  bool stop = false;  // a signal has reached this rank; of kEnd: all is done, or it was asked for
  std::uint64_t step = 0;
  std::string text{};
  bool operator==(const Message&) const = default;
};

// Of the run's end, as rank 0 tells it. Nullopt, or kInterrupted: a stop.
Message end_by(const std::optional<Error>& error);
// Of a kEnd that is no stop: what rank 0 ends by, as the others' error. So all ranks have one exit
// code, and whoever starts them again knows whether that may help.
Error error_of_end(const Message& end, std::string attempt);
// The same of a rank that ends while the others do not, and for rank 0, who then ends by it. Of one
// that was stopped, kInterrupted.
Message failed_by(const Error& error);
Error error_of_failed(std::uint64_t rank, const Message& failed, std::string attempt);

std::string to_frame(const Message& message);
// Takes the first whole frame off `buffer`; none: more bytes are wanted. kMalformed: it is no
// frame.
Result<std::optional<Message>> take_frame(std::string& buffer);

std::string to_text(std::span<const std::string> parts);
Result<std::vector<std::string>> parts_of(std::string_view text, std::size_t most);
// kSet and kScale alone: what is told to the other ranks.
std::string to_text(std::span<const Command> settings);
Result<std::vector<Command>> settings_of(std::string_view text);

}  // namespace longhaul::trainer
