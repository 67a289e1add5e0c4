#include "trainer/ranks/team.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace longhaul::trainer {
namespace {

constexpr Duration kBlameWait = 3s;  // a death is seen on all connections, but not at once
constexpr Duration kSayAgain = 1s;

}  // namespace

Result<std::unique_ptr<Team>> Team::form(const RankPlace& place, Duration patience,
                                         std::function<bool()> stop_asked, Join& join) {
  auto star = TRY(Star::join(place, patience, stop_asked));
  std::unique_ptr<Team> team(new Team(place, patience, std::move(stop_asked), std::move(star)));
  Membership membership{place.rank,
                        place.ranks,
                        place.gpu,
                        team->star_->address(),
                        patience,
                        [&](const std::string& mine) { return team->exchange(mine); },
                        [seen = team->star_.get()] { return seen->gone(); }};
  auto joined = join(membership);
  if (!joined) {
    team->leave(joined.error());
    return fail(joined.error());
  }
  team->collectives_ = *std::move(joined);
  return team;
}

Result<> Team::look(Duration most) {
  // The first wait is for at most that long, what has come by then is taken at once.
  for (Duration wait = most;; wait = Duration::zero()) {
    const std::optional<Star::Heard> heard = TRY(star_->hear(wait));
    if (!heard) break;
    heard_[heard->rank] = std::chrono::steady_clock::now();
    if (heard->message) {
      gate_.on_message(heard->rank, *heard->message);
    } else {
      gate_.on_gone(heard->rank);
    }
  }
  if (gate_.lost()) return fail(*gate_.lost());
  return {};
}

Result<> Team::expect_words(std::uint64_t step, Duration waited) const {
  if (waited <= patience_) return {};
  const auto now = std::chrono::steady_clock::now();
  for (std::uint64_t rank = 1; rank < ranks(); ++rank)
    if (!gate_.holds(rank, step) && (!heard_[rank] || now - *heard_[rank] > patience_))
      return fail(Error(Kind::kTimeout, fmt::format("train with {} ranks", ranks()),
                        fmt::format("rank {} does not answer, though its connection is open", rank))
                      .advise("start the run again with --resume auto"));
  return {};
}

void Team::go(std::uint64_t step, std::span<const Command> settings) {
  star_->send_to_all({Message::Kind::kGo, false, step, to_text(settings)});
}

void Team::end(const std::optional<Error>& why) {
  star_->send_to_all(end_by(why));
}

void Team::leave(const std::optional<Error>& why) {
  if (leads()) {
    end(why);
  } else if (why) {
    say_failed(*why);
  }
}

Error Team::who_is_gone(const Error& error) {
  if (!leads()) {
    const auto heard = told(kBlameWait);
    return heard ? error : heard.error();
  }
  for (Duration waited{}; waited < kBlameWait; waited += 100ms)
    if (const Result<> looked = look(100ms); !looked) return looked.error();
  return error;
}

void Team::say_ready(std::uint64_t step, bool stop) {
  star_->send(0, {Message::Kind::kReady, stop, step});
}

void Team::say_waits(Time now, std::uint64_t step, const std::string& what, bool stop) {
  Message words{Message::Kind::kWaits, stop, step, what};
  if (words == said_waits_ && now < say_again_) return;
  say_again_ = now + std::min<Duration>(kSayAgain, patience_ / 4);
  star_->send(0, words);
  said_waits_ = std::move(words);
}

void Team::say_failed(const Error& why) {
  star_->send(0, failed_by(why));
}

Result<std::optional<Team::Told>> Team::told(Duration most) {
  const std::optional<Star::Heard> heard = TRY(star_->hear(most));
  if (!heard) return std::optional<Told>();
  const std::string doing = fmt::format("train as rank {} of {}", rank(), ranks());
  if (!heard->message)
    return fail(Error(Kind::kLink, doing, "rank 0 is gone: its process or its host has died")
                    .advise("start the run again with --resume auto"));
  const Message& message = *heard->message;
  if (message.kind == Message::Kind::kEnd) {
    if (!message.stop) return fail(error_of_end(message, doing));
    return std::optional(Told{.ends = true});
  }
  if (message.kind != Message::Kind::kGo)
    return fail(Kind::kMalformed, "hear from rank 0", "it says what it may not say now");
  return std::optional(Told{false, message.step, TRY(settings_of(message.text))});
}

}  // namespace longhaul::trainer
