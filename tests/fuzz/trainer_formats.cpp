// What other people's files tell the trainer, on arbitrary bytes; the first byte chooses: a shard's
// header, a model's config.json, a tokenizer's model. What is accepted stays within its bounds.
#include <array>

#include "lib/base/assert.hpp"
#include "trainer/model_config.hpp"
#include "trainer/sentencepiece.hpp"

using namespace longhaul;
using namespace longhaul::trainer;

namespace {

void read_shard(Bytes bytes) {
  const Bytes first = bytes.first(std::min<std::size_t>(bytes.size(), kShardHeaderBytes));
  for (const char* name : {"a.bin", "a.u16", "a.u32"}) {
    const auto layout = shard_layout(first, bytes.size(), name);
    if (!layout) continue;
    ASSERT(layout->tokens > 0 && (layout->token_bytes == 2 || layout->token_bytes == 4));
    ASSERT(layout->header_bytes + layout->tokens * layout->token_bytes <= bytes.size());
  }
}

void read_config(Bytes bytes) {
  const auto config = parse_hf_config(text_of(bytes));
  if (!config) return;
  ASSERT(parameter_count(*config) > 0);
  const auto again = parse_hf_config(to_hf_config(*config, "float32"));
  ASSERT(again.has_value() && *again == *config);
}

void read_tokenizer(Bytes bytes) {
  const auto tokenizer = parse_sentencepiece(bytes);
  if (!tokenizer) return;
  constexpr std::array<std::string_view, 3> kTexts = {"ab abc", "\xff\xfe", ""};
  for (const std::string_view text : kTexts) {
    for (const Token id : (*tokenizer)->encode(text, Place::kBegin))
      ASSERT(id < (*tokenizer)->vocab());
    const std::array<Token, 2> ids = {0, static_cast<Token>((*tokenizer)->vocab() - 1)};
    static_cast<void>((*tokenizer)->decode(ids));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Bytes bytes = std::as_bytes(std::span(data + 1, size - 1));
  switch (data[0] % 3) {
    case 0:
      read_shard(bytes);
      break;
    case 1:
      read_config(bytes);
      break;
    default:
      read_tokenizer(bytes);
  }
  return 0;
}
