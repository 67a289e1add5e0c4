// Asks a server many questions, each when its time has come and over a connection of its own, and
// notes when each piece of each answer arrived. One thread; blocks until all are answered.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/units.hpp"
#include "trainer/asking/server_url.hpp"

namespace longhaul::trainer {

struct Question {
  Duration at{};  // from the start
  std::string prompt;
  std::uint32_t output = 0;  // tokens at most
};
struct Answer {
  Time asked{};                     // when its time came
  Time sent{};                      // the question, whole
  Duration round_trip{};            // of the kernels: SYN to SYN and ACK
  std::vector<Time> pieces{};       // events that brought text; at least one
  std::uint64_t prompt_tokens = 0;  // by the server; 0: it does not say
  std::uint64_t made_tokens = 0;
};
struct AskOptions {
  std::string model, key;    // key: empty, or what stands behind "Bearer"
  Duration patience = 120s;  // without a byte
  std::function<bool()> stop_asked;
};

// The questions are sorted by time. kLink or kTimeout for a server that is not there, breaks off or
// falls silent; what it says when it refuses.
Result<std::vector<Answer>> ask_all(const ServerUrl& url, std::span<const Question> questions,
                                    const AskOptions& options);

}  // namespace longhaul::trainer
