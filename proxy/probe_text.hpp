// What a probe found, as words and as JSON.
#pragma once

#include <optional>
#include <string>

#include "lib/cli/json_line.hpp"
#include "lib/probe/figures.hpp"
#include "lib/probe/quiet_port.hpp"
#include "lib/session/status.hpp"
#include "proxy/probe_compare.hpp"

namespace longhaul::proxy {

struct ProbeStory {
  std::string site;
  bool udp = false;                             // packets were answered
  std::string path, why;                        // which way bulk goes, and why
  probe::Figures figures;                       // empty without UDP
  std::optional<probe::NatFigures> nat;         // nothing: not asked for
  std::optional<Comparison> compared;           // the same
  double tls_rtt_ms = 0, tls_rtt_least_ms = 0;  // of the session's connections; 0: not known
};

std::string probe_text(const ProbeStory& story);
cli::JsonLine probe_json(const ProbeStory& story);

}  // namespace longhaul::proxy
