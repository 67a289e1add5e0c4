// What `top --json` says: the scene as one object. docs/feed.md lists the keys.
#include <cmath>

#include "proxy/run_text.hpp"
#include "proxy/telemetry_file.hpp"
#include "proxy/top_view.hpp"

namespace longhaul::proxy {
namespace {

cli::JsonLine lanes_line(const std::array<double, session::kLaneCount>& rates) {
  cli::JsonLine line;
  for (std::size_t i = 0; i < rates.size(); ++i)
    if (rates[i] > 0) line.add(session::name_of(static_cast<session::Lane>(i)), rates[i]);
  return line;
}

cli::JsonLine series_line(const std::string& name, const feed::SeriesView& series) {
  cli::JsonLine line;
  line.add("name", name).add("attempt", series.newest.attempt).add("step", series.newest.step);
  line.add("time_ns", series.newest.at.ns).add("value", series.newest.value);
  if (!std::isfinite(series.newest.value)) line.add("text", number_text(series.newest.value));
  line.add("points", series.points);
  return line;
}

cli::JsonLine wait_line(const Wait& wait) {
  cli::JsonLine line;
  line.add("of", wait.of == Waiter::kRun ? "run" : "link").add("began_ns", wait.began.ns);
  line.add("seconds", std::chrono::duration<double>(wait.lasted).count());
  line.add("why", wait.why).add("over", wait.over);
  return line;
}

}  // namespace

cli::JsonLine top_line(const TopScene& scene) {
  const feed::RunModel& run = scene.run;
  cli::JsonLine line;
  line.add("event", "top").add("run", scene.place).add("state", state_text(scene));
  line.add("time_ns", scene.wall.ns).add("attempt", run.newest_attempt());
  line.add("live_step", run.live_step()).add("complete_step", run.complete_step());
  std::uint64_t recorded = 0, here = 0, dropped = 0, lost = 0;
  for (const auto& [number, attempt] : run.attempts()) {
    recorded += std::max(attempt.recorded, attempt.next);
    here += attempt.next;
    dropped += attempt.dropped;
    lost += attempt.lost;
  }
  line.add("recorded", recorded).add("here", here).add("dropped", dropped).add("lost", lost);
  std::vector<cli::JsonLine> series, marks, waits;
  for (const auto& [name, one] : run.series()) series.push_back(series_line(name, one));
  for (const auto& [key, mark] : run.marks()) marks.push_back(event_line(mark));
  for (const Wait& wait : scene.link.waits()) waits.push_back(wait_line(wait));
  line.add("series", std::move(series)).add("marks", std::move(marks));
  line.add("stalls", std::move(waits));
  if (!scene.link.status()) return line;
  cli::JsonLine link = telemetry_line(Duration(0), *scene.link.status());
  link.add("sent_per_second", lanes_line(scene.link.sent()));
  link.add("received_per_second", lanes_line(scene.link.received()));
  return std::move(line.add("link", std::move(link)));
}

}  // namespace longhaul::proxy
