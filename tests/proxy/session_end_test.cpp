#include "proxy/session_end.hpp"

#include <gtest/gtest.h>

#include "lib/cli/explain.hpp"
#include "lib/transfer/exchange.hpp"

namespace longhaul::proxy {
namespace {

using session::RefuseReason;

cli::Explanation told(RefuseReason refused, Error why = Error(Kind::kAuth, "open a session")) {
  return cli::explain(explain_end({std::move(why), refused}, "lab"));
}

TEST(SessionEnd, A6AnotherKeyNamesTheSiteShowsBothKeysAndSaysWhatToDo) {
  const Error why(Kind::kAuth, "check the peer's key", "expected aa11, it showed bb22");
  const cli::Explanation text = told(RefuseReason::kForbidden, why);
  EXPECT_EQ(text.what, "cannot open a session with lab");
  EXPECT_EQ(text.why, "another key answers there: expected aa11, it showed bb22");
  EXPECT_EQ(text.todo,
            "if the site was set up anew, `longhaul sites --forget lab` and join it again; if not, "
            "somebody else answers at its address");
  EXPECT_EQ(explain_end({why, RefuseReason::kForbidden}, "lab").kind(), Kind::kAuth);
}

TEST(SessionEnd, AnOldOrNewPeerSaysWhichProgramsToCompare) {
  const cli::Explanation text = told(RefuseReason::kVersion);
  EXPECT_EQ(text.what, "cannot open a session with lab");
  EXPECT_EQ(text.why, "its program is too old or too new for the one here");
  EXPECT_EQ(
      text.todo,
      "bring both to one version: `longhaul version` here, `longhaul-streamer version` there");
}

TEST(SessionEnd, EveryRefusalSaysWhyAndWhatToDo) {
  EXPECT_EQ(told(RefuseReason::kForbidden).why, "it does not know this node, or no longer does");
  EXPECT_NE(told(RefuseReason::kForbidden).todo.find("longhaul join"), std::string::npos);
  EXPECT_EQ(told(RefuseReason::kBusy).why, "it has too many sessions or connections");
  EXPECT_EQ(told(RefuseReason::kBusy).todo, "wait a little, then run the same command again");
  EXPECT_EQ(told(RefuseReason::kNoSession).why, "the streamer there was started anew");
  EXPECT_NE(told(RefuseReason::kNoSession).todo.find("is not sent twice"), std::string::npos);
}

TEST(SessionEnd, WithoutARefusalTheSessionsOwnWordsStand) {
  const Error why(Kind::kTimeout, "reach the peer", "no link for a day");
  EXPECT_EQ(explain_end({why, RefuseReason::kNone}, "lab").message(), why.message());
}

TEST(SessionEnd, OfASiteThatDoesNotAnswerTheLastTryIsTold) {
  const auto told = [](const std::optional<Error>& last, bool called) {
    return cli::explain(explain_silence("lab", 30'004ms, last, called));
  };
  const cli::Explanation mute = told(std::nullopt, false);
  EXPECT_EQ(mute.what, "cannot reach lab");
  EXPECT_EQ(mute.why, "no answer for 30 s");
  EXPECT_EQ(mute.todo, "`longhaul doctor lab` finds what is in the way");
  EXPECT_EQ(told(Error(Kind::kLink, "connect to gpu:7700", "no route"), false).why,
            "no answer for 30 s; the last try: connect to gpu:7700: no route");
  EXPECT_EQ(told(std::nullopt, true).why, "it has not called within 30 s");
}

TEST(SessionEnd, WhatASiteToldIsReadAsWhatFailedThereAndWhy) {
  const auto told = [](Error error) { return cli::explain(explain_answer(error, "lab")); };
  const cli::Explanation text = told(Error(Kind::kNoSpace, std::string(transfer::kAskThePeer),
                                           "receive the tree: 2 GB are needed: 1 GB is free"));
  EXPECT_EQ(text.what, "cannot receive the tree at lab");
  EXPECT_EQ(text.why, "2 GB are needed: 1 GB is free");
  EXPECT_NE(text.todo.find("free some space there"), std::string::npos);
  EXPECT_EQ(told(Error(Kind::kAuth, std::string(transfer::kAskThePeer), "no")).what,
            "cannot ask lab");
  EXPECT_EQ(told(Error(Kind::kIo, "read a: b", "c: d")).what, "cannot read a: b");  // our own
}

}  // namespace
}  // namespace longhaul::proxy
