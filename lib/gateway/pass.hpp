// Pass: what lets the readers of one run through a gateway: where it is and the keys of both sides
// (CurveZMQ, as Z85 text). A file of mode 0600 that the site writes and the run's job is told of;
// who holds it may read every dataset of the site, and do nothing else.
//
//   longhaul gateway pass 1
//   run sweep-3
//   at tcp://login1:7710
//   site  rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7
//   ours  Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID
//   secret D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::gateway {

constexpr std::size_t kKeyTextBytes = 40;
constexpr std::string_view kZ85Digits =  // ZeroMQ's RFC 32
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
constexpr std::size_t kPassBytesMax = 2048;

struct Pass {
  std::string run;  // for people; letters, digits, '-', '_' and '.'
  std::string at;   // an endpoint of ZeroMQ: tcp://HOST:PORT or ipc://PATH
  std::string site_key, our_key, our_secret;
  bool operator==(const Pass&) const = default;
};

std::string to_text(const Pass& pass);
Result<Pass> parse_pass(std::string_view text);  // kMalformed

bool is_run_name(std::string_view name);
// kUsage: neither tcp://HOST:PORT nor ipc:///PATH.
Result<> judge_endpoint(std::string_view endpoint);

}  // namespace longhaul::gateway
