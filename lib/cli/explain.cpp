#include "lib/cli/explain.hpp"

#include <system_error>

namespace longhaul::cli {
namespace {

std::string_view reason_of(Kind kind) {
  switch (kind) {
    case Kind::kIo:
      return "the operating system reported a failure";
    case Kind::kNoSpace:
      return "the disk or quota is full";
    case Kind::kPermission:
      return "this user may not do that";
    case Kind::kExists:
      return "it is already there";
    case Kind::kBusy:
      return "another process is using it";
    case Kind::kChanged:
      return "it changed while it was being read";
    case Kind::kUsage:
      return "the command makes no sense as written";
    case Kind::kNotFound:
      return "there is no such thing";
    case Kind::kAuth:
      return "this node is not paired with that one, or its role is too small";
    case Kind::kLink:
      return "the link failed";
    case Kind::kTimeout:
      return "the other side did not answer in time";
    case Kind::kIntegrity:
      return "the bytes do not match their hash";
    case Kind::kMalformed:
      return "the data does not follow its format";
    case Kind::kLimit:
      return "a limit was exceeded";
    case Kind::kUnsupported:
      return "the other side speaks another version";
    case Kind::kPartial:
      return "only a part could be done";
    case Kind::kInterrupted:
      return "it was stopped";
  }
  return "unknown";
}

std::string_view advice_for(Kind kind) {
  switch (kind) {
    case Kind::kIo:
      return "look at the system's log, then run the same command again";
    case Kind::kNoSpace:
      return "free some space there, then run the same command again; it goes on where it was";
    case Kind::kPermission:
      return "run it as a user who may, or change the permissions";
    case Kind::kExists:
      return "choose another name, or remove what is there first";
    case Kind::kBusy:
      return "wait for the other process, or stop it";
    case Kind::kChanged:
      return "run the same command again when nothing writes there";
    case Kind::kUsage:
      return "add --help to see how it is meant";
    case Kind::kNotFound:
      return "check the name; `longhaul sites` and `longhaul ls SITE` list what there is";
    case Kind::kAuth:
      return "pair again: `longhaul-streamer invite` there, by its owner and with --role owner to "
             "change things, then `longhaul join NAME` here";
    case Kind::kLink:
    case Kind::kTimeout:
      return "run the same command again; what has arrived is not sent twice";
    case Kind::kIntegrity:
      return "run `longhaul verify` on the dataset; if it repeats, suspect memory or disk";
    case Kind::kMalformed:
      return "check that both sides run a released version; if they do, please report it";
    case Kind::kLimit:
      return "split it into smaller parts";
    case Kind::kUnsupported:
      return "bring both sides to the same version";
    case Kind::kPartial:
      return "see the lines above for what is missing, then run it again";
    case Kind::kInterrupted:
      return "run the same command again; it goes on where it was";
  }
  return "";
}

}  // namespace

Explanation explain(const Error& error) {
  Explanation out;
  out.what =
      error.attempt().empty() ? std::string(name_of(error.kind())) : "cannot " + error.attempt();
  if (!error.why().empty()) {
    out.why = error.why();
  } else if (error.os() != 0) {
    out.why = std::generic_category().message(error.os());
  } else {
    out.why = reason_of(error.kind());
  }
  out.todo = error.advice().empty() ? std::string(advice_for(error.kind())) : error.advice();
  return out;
}

std::string to_text(const Explanation& explanation, std::string_view program) {
  std::string text = std::string(program) + ": " + explanation.what + "\n";
  if (!explanation.why.empty()) text += "  why: " + explanation.why + "\n";
  if (!explanation.todo.empty()) text += "  do:  " + explanation.todo + "\n";
  return text;
}

}  // namespace longhaul::cli
