// What a session puts out, in words: the outputs of a trace.
#include <algorithm>
#include <string>
#include <type_traits>
#include <variant>

#include "lib/session/trace.hpp"

namespace longhaul::session {

namespace {
template <class... Parts>
std::string words(const Parts&... parts) {
  std::string out;
  const auto add = [&out](const auto& part) {
    if (!out.empty()) out += ' ';
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>) {
      out += std::to_string(part);
    } else {
      out += part;
    }
  };
  (add(parts), ...);
  return out;
}

std::string event_in_words(const Event& event) {
  struct Teller {
    std::string operator()(const Established& e) const {
      return words("established: resumed", e.resumed, "version", e.version, "capabilities",
                   e.capabilities);
    }
    std::string operator()(const LinkUp&) const { return "link up"; }
    std::string operator()(const LinkDown&) const { return "link down"; }
    std::string operator()(const PathUp& e) const {
      return words("path", e.path.value(), "up:", name_of(e.role));
    }
    std::string operator()(const PathLost& e) const {
      return words("path", e.path.value(), "lost,", e.requeued_bytes,
                   "bytes requeued:", e.why.message());
    }
    std::string operator()(const KChanged& e) const {
      return words("connections", e.from, "to", e.to, name_of(e.reason), "at", e.sum.value());
    }
    std::string operator()(const RateCapped& e) const { return words("cap", e.cap.value()); }
    std::string operator()(const PathChosen& e) const { return words("path:", name_of(e.why)); }
    std::string operator()(const Ended& e) const {
      return words("ended:", e.why.message(), name_of(e.refused));
    }
  };
  return std::visit(Teller{}, event);
}
}  // namespace

std::string in_words(const Output& output) {
  struct Teller {
    std::string operator()(const Write& w) const {
      return words("write", w.bytes.size(), "bytes to path", w.path.value());
    }
    std::string operator()(const Dial& d) const {
      return words("dial path", d.path.value(), name_of(d.role), "to address", d.address,
                   d.small_segments ? "in small segments" : "in full ones");
    }
    std::string operator()(const Close& c) const {
      return words("close path", c.path.value(), c.finish ? "when written" : "at once");
    }
    std::string operator()(const Tune& t) const {
      return words("tune path", t.path.value(), "to", t.pacing.value(), "bytes/s,",
                   t.unsent_max_bytes, "unsent", t.bbr ? "bbr" : "any control");
    }
    std::string operator()(const Sample& s) const { return words("sample path", s.path.value()); }
    std::string operator()(const HandOut& h) const {
      return words("job", h.job.id.value(), "of service", h.service.value());
    }
    std::string operator()(const Event& event) const { return event_in_words(event); }
    std::string operator()(const SendDatagrams& d) const {
      return words("send", d.bytes.size(), "bytes of datagrams of", d.each_bytes);
    }
    std::string operator()(const ClaimDatagrams& c) const {
      return c.on ? "claim a connection id" : "release a connection id";
    }
  };
  std::string text = std::visit(Teller{}, output);
  text.resize(std::min(text.size(), trace::kTextMax));
  return text;
}

}  // namespace longhaul::session
