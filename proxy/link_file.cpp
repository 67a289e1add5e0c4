#include "proxy/link_file.hpp"

#include <charconv>

#include "lib/cli/toml_sections.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kLinkFileMax = 4096;

Result<store::TreeName> file_of(const std::string& site, const std::string& network) {
  return store::TreeName::parse("links/" + site + (network.empty() ? "" : "@" + network));
}

}  // namespace

std::string link_text(const session::LinkMemory& learned) {
  cli::Sections sections;
  sections["link"] = {{"rate_bytes_per_second", std::to_string(learned.rate.value())},
                      {"rtt_min_ns", std::to_string(learned.rtt_min.count())},
                      {"loss_ppm", std::to_string(learned.loss_ppm)},
                      {"connections", std::to_string(learned.bulk_paths)},
                      {"bbr", learned.bbr ? "1" : "0"},
                      {"datagrams", learned.datagrams ? "1" : "0"}};
  return cli::write_sections(sections);
}

session::LinkMemory link_in(std::string_view text) {
  const auto sections = cli::read_sections(text, "link");
  if (!sections || !sections->contains("link")) return {};
  const auto& values = sections->at("link");
  bool whole = true;
  const auto number = [&](const char* key) {
    std::uint64_t out = 0;
    const auto found = values.find(key);
    if (found == values.end()) {
      whole = false;
      return out;
    }
    const std::string& digits = found->second;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    whole = whole && status == std::errc{} && end == digits.data() + digits.size();
    return out;
  };
  session::LinkMemory out;
  out.rate = BytesPerSecond(number("rate_bytes_per_second"));
  out.rtt_min = Duration(static_cast<std::int64_t>(number("rtt_min_ns") & 0x7fffffffffffffffU));
  out.loss_ppm = static_cast<std::uint32_t>(number("loss_ppm") % 1'000'001);
  out.bulk_paths = static_cast<std::uint32_t>(number("connections") % 65);
  out.bbr = number("bbr") == 1;
  const auto datagrams = values.find("datagrams");  // which older files do not have
  out.datagrams = datagrams != values.end() && datagrams->second == "1";
  return whole ? out : session::LinkMemory{};
}

session::LinkMemory load_link(const App& app, const std::string& site, const std::string& network) {
  const auto state = private_folder(app.home.state);
  const auto name = file_of(site, network);
  if (!state || !name) return {};
  const auto text = store::read_whole(**state, *name, kLinkFileMax);
  return text ? link_in(text_of(*text)) : session::LinkMemory{};
}

void save_link(const App& app, const std::string& site, const std::string& network,
               const session::LinkMemory& learned) {
  if (learned.empty()) return;
  const auto state = private_folder(app.home.state);
  const auto name = file_of(site, network);
  if (!state || !name) return;
  static_cast<void>(store::make_folders(**state, name->parent()));
  static_cast<void>(store::write_whole(**state, *name, bytes_of(link_text(learned))));
}

}  // namespace longhaul::proxy
