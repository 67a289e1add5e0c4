// Reach: how connections to a site come about: we dial its address; the user's ssh carries them; or
// the site dials us. What runs over them is the same. Lives on Env's strand; close() first.
#pragma once

#include <memory>

#include "lib/session/session.hpp"
#include "proxy/app.hpp"
#include "proxy/callers.hpp"
#include "proxy/sites.hpp"

namespace longhaul::proxy {

class Reach {
 public:
  static Result<std::unique_ptr<Reach>> make(App& app, const Site& site);
  io::Task<Result<std::unique_ptr<io::Stream>>> dial(bool small_segments);
  // A carrier costs a login, and its failures are for the user to mend: no dial after the first
  // that failed is of use before then.
  bool by_ssh() const { return !site_.tunnel.empty(); }
  bool is_called() const { return callers_ != nullptr; }
  void fit(session::SessionOptions& options) const;
  std::string in_words() const;  // "over TCP to gpu.example.org:7700"
  io::Task<> close();

 private:
  Reach(App& app, Site site) : app_(app), site_(std::move(site)) {}
  App& app_;
  const Site site_;
  std::unique_ptr<Callers> callers_;
};

}  // namespace longhaul::proxy
