#include "streamer/collecting.hpp"

#include "lib/store/collect.hpp"
#include "lib/store/staging.hpp"

namespace longhaul::streamer {
namespace {

constexpr Duration kPause = 6h;

class Collect final : public Work {
 public:
  Collect(std::shared_ptr<Datasets> datasets, WallTime older_than)
      : datasets_(std::move(datasets)), older_than_(older_than) {}
  void run() override { result = store::collect_staging(*datasets_->files, older_than_); }
  Result<store::Collected> result = store::Collected();

 private:
  const std::shared_ptr<Datasets> datasets_;
  const WallTime older_than_;
};

}  // namespace

io::Task<> collect_abandoned(io::Env& env, Log& log, std::shared_ptr<Datasets> datasets) {
  for (;;) {
    const WallTime older_than{env.wall().ns - store::kStagingKept.count()};
    Job job;
    job.where = JobClass::kDisk;
    job.work = std::make_unique<Collect>(datasets, older_than);
    const Job done = co_await env.work(std::move(job));
    const Result<store::Collected>& result = done.as<Collect>().result;
    if (!result) LOG(log, kWarn, "unfinished pushes stay: {}", result.error().message());
    if (result && result->stagings > 0)
      LOG(log, kInfo, "removed {} pushes that nobody went on with", result->stagings);
    co_await env.sleep_until(env.now() + kPause);
  }
}

}  // namespace longhaul::streamer
