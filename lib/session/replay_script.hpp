// Script: the records of a trace, one ahead, and the first difference between what they say and
// what the replay does. For lib/session only.
#pragma once

#include <optional>
#include <string>

#include "lib/session/replay.hpp"
#include "lib/session/trace.hpp"

namespace longhaul::session {

class Script {
 public:
  explicit Script(Bytes records) : left_(records) { read(); }

  // nullptr at the end, and once the replay has diverged.
  const trace::Record* peek() const { return next_.has_value() && !diverged() ? &*next_ : nullptr; }
  template <class T>
  const T* peek_if() const {
    const trace::Record* record = peek();
    return record == nullptr ? nullptr : std::get_if<T>(record);
  }
  template <class T>
  const T* peek_of_path(std::uint32_t path) const {
    const T* record = peek_if<T>();
    return record != nullptr && record->path == path ? record : nullptr;
  }
  template <class T>
  const T* peek_of_service(std::uint8_t service) const {
    const T* record = peek_if<T>();
    return record != nullptr && record->service == service ? record : nullptr;
  }
  void take();
  // What the replay does, which must be what stands here.
  void expect(const trace::Record& done);
  void diverge(std::string replayed);
  void at(Time now);  // of an input
  void forget_payloads() { keeps_ = false; }

  bool diverged() const { return ended_ || divergence_.has_value(); }
  const std::optional<Error>& error() const { return error_; }  // a record that is none
  void finish(ReplayReport& report);

 private:
  void read();
  Bytes left_;
  std::optional<trace::Record> next_;
  std::optional<Error> error_;
  std::uint64_t number_ = 0;
  Time began_{}, now_{};
  bool cut_ = false, ended_ = false, keeps_ = true;
  crypto::Sha256 recorded_, replayed_;
  std::optional<Divergence> divergence_;
};

}  // namespace longhaul::session
