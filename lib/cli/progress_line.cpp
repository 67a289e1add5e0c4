#include "lib/cli/progress_line.hpp"

#include <fmt/format.h>

#include <vector>

#include "lib/cli/human.hpp"

namespace longhaul::cli {
namespace {

constexpr Duration kTerminalPause = 125ms;
constexpr Duration kPlainPause = 5s;

std::string amount(const ProgressView& view) {
  if (view.total == ByteCount(0)) return human(view.done);
  const auto percent = static_cast<unsigned>(static_cast<double>(view.done.value()) /
                                             static_cast<double>(view.total.value()) * 100.0);
  return fmt::format("{}% {} of {}", percent, human(view.done), human(view.total));
}

std::string compression(const ProgressView& view) {
  const double share =
      1.0 - static_cast<double>(view.on_wire.value()) / static_cast<double>(view.raw.value());
  return fmt::format("compressed {:.0f}%", share * 100.0);
}

}  // namespace

std::string render(const ProgressView& view, unsigned width) {
  struct Part {
    std::string text;
    int weight;  // the smallest is dropped first
  };
  std::vector<Part> parts{{view.title, 6}, {amount(view), 9}};
  if (!view.waiting.empty()) parts.push_back({"waiting: " + view.waiting, 10});
  if (view.files_total > 1)
    parts.push_back({fmt::format("{}/{} files", view.files_done, view.files_total), 2});
  if (view.rate.value() > 0) parts.push_back({human(view.rate), 8});
  if (view.left) parts.push_back({human(*view.left) + " left", 7});
  if (view.present > ByteCount(0)) parts.push_back({human(view.present) + " were there", 5});
  if (view.on_wire < view.raw) parts.push_back({compression(view), 3});
  if (!view.limit.empty() && view.waiting.empty()) parts.push_back({"limit: " + view.limit, 4});
  if (!view.path.empty()) parts.push_back({"over " + view.path, 1});

  for (;;) {
    std::string line;
    std::size_t least = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      line += (i == 0 ? "" : "  ") + parts[i].text;
      if (parts[i].weight < parts[least].weight) least = i;
    }
    if (line.size() <= width || parts.size() == 1) return line.substr(0, width);
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(least));
  }
}

std::string ProgressLine::update(Time now, const ProgressView& view) {
  const Duration pause = terminal_ ? kTerminalPause : kPlainPause;
  if (last_ && now - *last_ < pause) return "";
  last_ = now;
  const std::string line = render(view, width_);
  return terminal_ ? "\r\x1b[K" + line : line + "\n";
}

std::string ProgressLine::finish(const ProgressView& view) {
  const std::string line = render(view, width_);
  return (terminal_ ? "\r\x1b[K" + line : line) + "\n";
}

}  // namespace longhaul::cli
