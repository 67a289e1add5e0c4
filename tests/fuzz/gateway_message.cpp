// Any bytes as what a reader sends to a gateway, what a gateway answers, and as a pass: no crash,
// and what is accepted reads the same after writing.
#include <cstddef>
#include <cstdint>

#include "lib/base/assert.hpp"
#include "lib/gateway/desk.hpp"
#include "lib/gateway/pass.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::gateway;

class Empty final : public Site {  // judges what the desk lets through
 public:
  std::string where() const override { return "nowhere"; }
  Result<std::optional<store::VersionNo>> current(const store::DatasetName&) override {
    return std::optional<store::VersionNo>();
  }
  Result<std::optional<Seen>> look(const store::TreeName& name) override {
    ASSERT(is_served(name));
    return std::optional<Seen>();
  }
  Result<Filled> read(const store::TreeName& name, std::uint64_t, MutableBytes out) override {
    ASSERT(is_served(name) && !out.empty() && out.size() <= kPartMax);
    return Filled::kNot;
  }
  void want(const store::DatasetName&, const store::Demand& demand) override {
    static_cast<void>(store::to_bytes(demand));  // as it is written for the streamer
  }
  void want_nothing(const store::DatasetName&) override {}
};

template <class T>
void read_again(Bytes bytes) {
  if (const auto message = wire::decode<T>(bytes); message.has_value())
    ASSERT(equal(wire::encode(*message), bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = std::as_bytes(std::span(data, size));
  static Desk desk([]() -> Result<std::unique_ptr<Site>> {
    return std::unique_ptr<Site>(std::make_unique<Empty>());
  });
  const auto answer = wire::decode<Answer>(desk.answer(Time{}, "reader", bytes));
  ASSERT(answer.has_value());
  read_again<Question>(bytes);
  read_again<Answer>(bytes);
  if (const auto pass = parse_pass(text_of(bytes))) ASSERT(to_text(*pass) == text_of(bytes));
  return 0;
}
