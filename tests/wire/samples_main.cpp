// Prints messages for tests/golden/decode.py to read by the page alone: the tables of messages that
// only tests know, "----", then random messages and damaged ones with what this library makes of
// them.
#include <cstdio>

#include "tests/wire/catalogue.hpp"
#include "tests/wire/random_message.hpp"
#include "tests/wire/sample.hpp"

namespace longhaul::wire {
namespace {

constexpr int kEach = 60;         // random messages of a type
constexpr int kDamagedEach = 10;  // damaged forms of each

template <class T>
void print_line(Bytes bytes) {
  const auto message = decode<T>(bytes);
  const std::string verdict = message.has_value() ? dump(*message) : "refused";
  // A dash keeps an empty message's column.
  std::puts(fmt::format("{} -{} {}", type_name<T>(), to_hex(bytes), verdict).c_str());
}

template <class T>
void print_samples(Rng& rng) {
  for (int i = 0; i < kEach; ++i) {
    const ByteVector good = encode(some<T>(rng));
    print_line<T>(good);
    for (int j = 0; j < kDamagedEach; ++j) {
      ByteVector bad = good;
      bad[rng.below(bad.size())] ^= static_cast<std::byte>(rng.between(1, 255));
      if (rng.below(3) == 0) bad.resize(rng.below(bad.size() + 3));
      print_line<T>(bad);
    }
  }
}

}  // namespace
}  // namespace longhaul::wire

int main() {
  using namespace longhaul;
  using namespace longhaul::wire;
  std::printf("### Sample\n\n%s\n### Inner\n\n%s\n----\n", describe<Sample>().c_str(),
              describe<Inner>().c_str());
  Rng rng(1, "wire.samples");
  for (int i = 0; i < 10; ++i) print_samples<Sample>(rng);
  each_documented([&]<class T>() { print_samples<T>(rng); });
}
