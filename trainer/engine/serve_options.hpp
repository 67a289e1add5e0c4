// What `serve-bench` is told, and the requests that follow from it.
#pragma once

#include <vector>

#include "trainer/engine/train.hpp"
#include "trainer/serving/serve_report.hpp"

namespace longhaul::trainer {

struct ServeOptions {
  TrainOptions model;
  std::uint64_t requests = 64, prompt = 128, output = 64, most = 16, round = 64, pool = 8192;
  std::uint64_t repetitions = 5;
  bool separate = false;  // a device's launches, each asked for
  double rate = 4, spread = 0, ttft_ms = 1000, tpot_ms = 100;
  std::string url, served_model = "default";

  ServeLimits limits() const;
};
struct Arrival {
  Duration at{};  // from the start
  std::uint32_t prompt = 0, output = 0;
};
std::vector<Arrival> arrivals_of(const ServeOptions& options);
// The report's members, as they stand in a JSON object.
std::string to_json(const ServeReport& report);
std::string to_json(const Spread3& spread);

// Another program's server, over the network.
Result<int> serve_remote(Outside& outside, const ServeOptions& options);

}  // namespace longhaul::trainer
