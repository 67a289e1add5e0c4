// Golden bytes of a probe's messages, each once with every field set.
#include "tests/wire/catalogue.hpp"

namespace longhaul::wire {
namespace {

ProbeOpened some_opened() {
  ProbeOpened opened;
  opened.probe = ProbeId(1);
  opened.failed = Kind::kBusy;
  opened.text = "somebody else is probing it now";
  opened.budget_bytes = 20'000'000;
  opened.site_wall = WallTime{1'700'000'000'000'000'001};
  return opened;
}

ProbeTrain some_train() {
  ProbeTrain train;
  train.probe = ProbeId(1);
  train.train = TrainId(3);
  train.down = true;
  train.packets = 1'000;
  train.packet_bytes = 1'472;
  train.rate = 37'500'000;
  train.token = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4},
                 std::byte{5}, std::byte{6}, std::byte{7}, std::byte{8}};
  return train;
}

ProbeArrivals some_arrivals() {
  ProbeArrivals arrivals;
  arrivals.probe = ProbeId(1);
  arrivals.train = TrainId(3);
  arrivals.first_us = 1'234'567;
  arrivals.packets = {1, 0, 41, -3, 500};
  return arrivals;
}

ByteVector some_bytes() {
  return {std::byte{1}, std::byte{0}, std::byte{255}};
}

}  // namespace

std::vector<GoldenBytes> probe_golden() {
  return {
      golden_probe_message("all", ProbeOpen{ProbeId(1), crypto::sha256("seed"), 20'000'000}),
      golden_probe_message("refused", some_opened()),
      golden_probe_message("down", some_train()),
      golden_probe_message("lossy", some_arrivals()),
      golden_probe_message("one", ProbeStop{ProbeId(1)}),
      golden_probe_message("three", ProbeFill{ProbeId(1), 8'000'000, some_bytes()}),
      golden_probe_message("some", ProbeFetch{ProbeId(1), 8'000'000}),
      golden_probe_message("all", ProbeFilled{ProbeId(1), 8'000'000}),
  };
}

}  // namespace longhaul::wire
