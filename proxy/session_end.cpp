#include "proxy/session_end.hpp"

#include "lib/transfer/exchange.hpp"

namespace longhaul::proxy {

Error explain_end(const session::Ended& ended, const std::string& site) {
  const std::string attempt = "open a session with " + site;
  switch (ended.refused) {
    case session::RefuseReason::kForbidden:
      if (ended.why.attempt() == "check the peer's key") {  // `why` shows both
        return Error(Kind::kAuth, attempt, "another key answers there: " + ended.why.why())
            .advise("if the site was set up anew, `longhaul sites --forget " + site +
                    "` and join it again; if not, somebody else answers at its address");
      }
      return Error(Kind::kAuth, attempt, "it does not know this node, or no longer does");
    case session::RefuseReason::kVersion:
      return Error(Kind::kUnsupported, attempt,
                   "its program is too old or too new for the one here")
          .advise(
              "bring both to one version: `longhaul version` here, `longhaul-streamer version` "
              "there");
    case session::RefuseReason::kBusy:
      return Error(Kind::kBusy, attempt, "it has too many sessions or connections")
          .advise("wait a little, then run the same command again");
    case session::RefuseReason::kNoSession:
      return Error(Kind::kLink, "go on with the session", "the streamer there was started anew");
    default:
      return ended.why;
  }
}

Error explain_silence(const std::string& site, Duration waited,
                      const std::optional<Error>& last_try, bool called) {
  const std::string span = std::to_string(waited / std::chrono::seconds(1)) + " s";
  std::string why = called ? "it has not called within " + span : "no answer for " + span;
  if (last_try) why += "; the last try: " + last_try->message();
  return Error(Kind::kLink, "reach " + site, why)
      .advise("`longhaul doctor " + site + "` finds what is in the way");
}

Error explain_answer(const Error& told, const std::string& site) {
  if (told.attempt() != transfer::kAskThePeer) return told;
  const std::size_t colon = told.why().find(": ");
  if (colon == std::string::npos) return Error(told.kind(), "ask " + site, told.why());
  return Error(told.kind(), told.why().substr(0, colon) + " at " + site,
               told.why().substr(colon + 2));
}

}  // namespace longhaul::proxy
