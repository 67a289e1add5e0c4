// Any bytes as a server's answer: it comes to the same, whole or byte by byte.
#include "trainer/asking/completion_stream.hpp"

#include <algorithm>
#include <optional>

#include "lib/base/assert.hpp"

namespace {

struct Heard {
  std::uint64_t pieces = 0;
  bool done = false;
  bool operator==(const Heard&) const = default;
};
std::optional<Heard> read(std::string_view answer, std::size_t at_once) {
  longhaul::trainer::CompletionStream stream;
  Heard out;
  for (std::size_t at = 0; at < answer.size(); at += at_once) {
    const auto heard = stream.take(answer.substr(at, at_once));
    if (!heard) return std::nullopt;
    out.pieces += heard->pieces;
    out.done = heard->done;
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view answer(reinterpret_cast<const char*>(data), size);
  const auto whole = read(answer, std::max<std::size_t>(1, size));
  ASSERT(whole == read(answer, 1));
  ASSERT(!whole || whole->pieces <= size);
  return 0;
}
