#include "lib/cli/explain.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "lib/cli/exit_code.hpp"

namespace longhaul::cli {
namespace {

TEST(Explain, SaysWhatWhyAndWhatToDo) {
  const Error error(Kind::kLink, "connect to gpu:7700", ECONNREFUSED);
  EXPECT_EQ(to_text(explain(error), "longhaul"),
            "longhaul: cannot connect to gpu:7700\n"
            "  why: Connection refused\n"
            "  do:  run the same command again; what has arrived is not sent twice\n");
}

TEST(Explain, PrefersTheAdviceOfThePlaceThatFailed) {
  const Error error = Error(Kind::kBusy, "listen on [::]:7700").advise("choose another port");
  EXPECT_EQ(explain(error).todo, "choose another port");
  EXPECT_EQ(explain(error).why, "another process is using it");
}

TEST(ExitCode, FollowsTheTableInTheReadme) {
  EXPECT_EQ(exit_code_of(Kind::kUsage), 2);
  EXPECT_EQ(exit_code_of(Kind::kNotFound), 3);
  EXPECT_EQ(exit_code_of(Kind::kAuth), 4);
  EXPECT_EQ(exit_code_of(Kind::kLink), 5);
  EXPECT_EQ(exit_code_of(Kind::kTimeout), 5);
  EXPECT_EQ(exit_code_of(Kind::kIntegrity), 6);
  EXPECT_EQ(exit_code_of(Kind::kPartial), 8);
  EXPECT_EQ(exit_code_of(Kind::kInterrupted), 130);
  EXPECT_EQ(exit_code_of(Kind::kNoSpace), 1);
}

}  // namespace
}  // namespace longhaul::cli
