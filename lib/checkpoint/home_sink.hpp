// HomeSink: where a checkpoint ends on the laptop: DST/step-00002000, or DST/step-00002000.full in
// the form `full`, beside others of its run. It is staged in DST/.longhaul and takes its name by
// one rename, whole, checked and durable. A note in it (.longhaul-checkpoint) says what it is of,
// so that nothing else is ever replaced or deleted: the newer attempt's step takes the place of the
// older one's, and with `keep` those of the run and form that were announced first go, never the
// one that has just come. A list of its chunks (.longhaul-chunks) lies beside that note: what the
// newest ones at home hold is taken from there, hashed again, and does not cross.
//
// Called from jobs, as every transfer::Sink.
#pragma once

#include <compare>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/checkpoint/checkpoint_files.hpp"
#include "lib/transfer/staged_sink.hpp"

namespace longhaul::checkpoint {

struct Checkpoint {  // the newest: of the newest attempt
  std::uint32_t attempt = 0;
  std::uint64_t step = 0;
  WallTime at = {};  // announced: one of another time has other content, or is of another run
  std::strong_ordering operator<=>(const Checkpoint&) const = default;
};

struct Wanted {
  Checkpoint checkpoint;
  Form form = Form::kWeights;
  bool operator==(const Wanted&) const = default;
};

struct Held {  // one that is home
  std::string run;
  Wanted what;
  crypto::Digest root;
  WallTime arrived;
};

// Whether that is what is wanted. A note of an older version has no time and counts as one that
// has.
bool is_home(const Wanted& held, const Wanted& wanted);
// The folder's name, one component.
store::TreeName home_name(const Wanted& wanted);
// What stands there; nullopt: nothing, or nothing of ours.
std::optional<Held> read_held(store::Files& home, const store::TreeName& name);
// All that is home, in no particular order.
Result<std::vector<Held>> list_held(store::Files& home);
// Whether some of it is staged.
bool is_begun(store::Files& home, const std::string& run, const Wanted& wanted);
// That, or one of its run and form is home: chunks of it may be here, and are asked for by name.
bool may_be_here(store::Files& home, const std::string& run, const Wanted& wanted);
// Removes what is staged of this run but for `but` and what somebody is at, and what a deletion
// that was cut short left.
void sweep(store::Files& home, const std::string& run, const std::vector<Wanted>& but);

struct HomeOptions {
  std::string run;  // "SITE/RUN"
  Wanted wanted;
  std::size_t keep = 0;  // of this run and form; 0: all
  // Of this run what is staged and neither this nor named here is not wanted any more.
  std::optional<std::vector<Wanted>> begun;
};

class HomeSink final : public transfer::StagedSink {
 public:
  // home: rooted at DST.
  HomeSink(std::shared_ptr<store::Files> home, HomeOptions options);
  // kExists: something that is not ours stands under its name.
  Result<transfer::Published> publish(const store::Tree& tree) override;

 protected:
  Result<Opened> prepare(const wire::Offer& offer) override;
  std::optional<transfer::LocalPlace> find_local(const store::ChunkId& chunk) override;

 private:
  void look_at_home();
  Result<> put_note(const store::Tree& tree);
  Result<> check_place();
  Result<> clear_place();
  Result<> discard(const store::TreeName& name);
  Result<std::vector<Held>> newest_held();
  Result<> prune();

  const HomeOptions options_;
  std::unordered_map<store::ChunkId, transfer::LocalPlace> local_;  // only looked up
};

}  // namespace longhaul::checkpoint
