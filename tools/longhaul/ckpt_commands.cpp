#include "tools/longhaul/ckpt_commands.hpp"

#include "proxy/commands.hpp"

namespace longhaul {

void add_ckpt(CLI::App& root, Chosen& chosen) {
  CLI::App* ckpt = root.add_subcommand("ckpt", "checkpoints of a run: list them, bring them home");
  ckpt->require_subcommand(1);
  CLI::App* list = add(*ckpt, chosen, "ls", "list those that a run announced and still has");
  auto listed = std::make_shared<proxy::CkptListOptions>();
  list->add_option("SITE/RUN", listed->place)->required();
  list->callback([&chosen, listed] {
    chosen.start = [listed](proxy::App& app) { return proxy::ckpt_list(app, *listed); };
  });

  const char* const target =
      "a folder for checkpoints of this run; if missing: ./checkpoints/SITE/RUN";
  const char* const full = "everything as it stands there, not just the weights, rounded to bf16";
  CLI::App* pull = add(*ckpt, chosen, "pull", "fetch one: SITE/RUN@STEP, or the newest");
  auto pulled = std::make_shared<proxy::CkptPullOptions>();
  pull->add_option("SITE/RUN[@STEP]", pulled->place)->required();
  pull->add_option("DST", pulled->target, target);
  pull->add_flag("--full", pulled->full, full);
  pull->add_option("--limit-rate", pulled->limit_rate, "at most this fast");
  pull->add_flag("--queue", pulled->queue,
                 "leave it with the proxy daemon, which fetches it when the site can be reached");
  pull->callback([&chosen, pulled] {
    chosen.start = [pulled](proxy::App& app) { return proxy::ckpt_pull(app, *pulled); };
  });

  CLI::App* follow =
      add(*ckpt, chosen, "follow", "fetch each new one, through outages, until Ctrl-C");
  auto followed = std::make_shared<proxy::CkptFollowOptions>();
  follow->add_option("SITE/RUN", followed->place)->required();
  follow->add_option("DST", followed->target, target);
  CLI::Option* everything = follow->add_flag("--full", followed->full, full);
  follow
      ->add_flag(
          "--full-daily", followed->full_daily,
          "weights of each, and once a day everything of one, when nothing else is to be fetched")
      ->excludes(everything);
  follow
      ->add_option("--keep", followed->keep,
                   "of this run, keep so many here, the newest; if missing: all")
      ->check(CLI::PositiveNumber);
  follow->add_option("--limit-rate", followed->limit_rate, "at most this fast");
  follow->add_flag("--queue", followed->queue,
                   "leave it with the proxy daemon, which follows until it is withdrawn");
  follow->callback([&chosen, followed] {
    chosen.start = [followed](proxy::App& app) { return proxy::ckpt_follow(app, *followed); };
  });
}

}  // namespace longhaul
