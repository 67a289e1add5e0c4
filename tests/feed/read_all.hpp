// What a run's log holds, read as the feed does.
#pragma once

#include <gtest/gtest.h>

#include "lib/feed/history.hpp"
#include "lib/feed/run_files.hpp"
namespace longhaul::feed {

inline store::TreeName folder_of(std::string_view run) {
  return run_folder(run).value();
}

// All messages of an attempt from a place on.
inline std::vector<wire::History> read_all(store::Files& files, std::string_view run,
                                           wire::LogPlace from,
                                           HistoryWork::Trust trust = HistoryWork::Trust::kOurs) {
  std::vector<wire::History> all;
  for (;;) {
    HistoryWork work(files, folder_of(run), from, trust);
    work.run();
    EXPECT_FALSE(work.error.has_value());
    if (work.message) all.push_back(*work.message);
    if (work.after.offset == from.offset) return all;
    from = work.after;
    trust = HistoryWork::Trust::kOurs;
  }
}

inline std::uint64_t points_of(const std::vector<wire::History>& all) {
  std::uint64_t points = 0;
  for (const wire::History& one : all) points += unpack_history(one).value().points.size();
  return points;
}

}  // namespace longhaul::feed
