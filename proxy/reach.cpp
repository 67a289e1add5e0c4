#include "proxy/reach.hpp"

#include "lib/session/segment_guess.hpp"
#include "proxy/ssh.hpp"

namespace longhaul::proxy {
namespace {

// An ssh login takes several round trips and a shell's start, and each is a process here and there.
constexpr Duration kCarrierLife = 60s;
constexpr Duration kCarrierPause = 5s;
constexpr std::uint32_t kCarriersForBulk = 4;

}  // namespace

Result<std::unique_ptr<Reach>> Reach::make(App& app, const Site& site) {
  std::unique_ptr<Reach> reach(new Reach(app, site));
  if (!site.listen.empty()) {
    const io::Endpoint at = TRY(io::parse_endpoint(site.listen));
    reach->callers_ = TRY(Callers::listen(app.env, at));
  }
  return reach;
}

io::Task<Result<std::unique_ptr<io::Stream>>> Reach::dial(bool small_segments) {
  if (callers_) co_return co_await callers_->take();
  if (by_ssh()) co_return co_await dial_by_ssh(app_, site_.tunnel, site_.root);
  io::StreamOptions options;
  if (small_segments) options.segment_max_bytes = session::kSmallSegment;
  const io::Endpoint to = site_.address;
  co_return co_await app_.env.dial(to, options);
}

void Reach::fit(session::SessionOptions& options) const {
  if (is_called()) options.strangers_answer = true;
  if (!by_ssh()) return;
  options.dial_life = kCarrierLife;
  options.probe_pause = kCarrierPause;
  options.bulk_paths_max = kCarriersForBulk;
  options.expects_bulk = false;  // one login first: it may have to ask for a password
}

std::string Reach::in_words() const {
  if (is_called()) return "called by the site on " + to_text(callers_->local());
  if (by_ssh()) return "through ssh " + site_.tunnel;
  return "over TCP to " + to_text(site_.address);
}

io::Task<> Reach::close() {
  if (callers_) {
    co_await callers_->close();
  }
}

}  // namespace longhaul::proxy
