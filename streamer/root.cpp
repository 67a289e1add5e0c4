#include "streamer/root.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "lib/base/escape.hpp"
#include "lib/cli/toml_sections.hpp"
#include "lib/crypto/digest.hpp"

namespace longhaul::streamer {
namespace {

constexpr std::size_t kStateFileBytesMax = 16U << 10;

store::TreeName state_name() {
  return store::TreeName::known("state.toml");
}

Result<> make(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno("make the folder " + path, errno);
  return {};
}

// With all folders above it.
Result<> make_all(const std::string& path, unsigned mode) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    TRY(make(path.substr(0, at), 0755));
  return make(path, mode);
}

Result<std::string> real(const std::string& path) {
  std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr), &std::free);
  if (!found) return fail_errno("find the folder " + printable(path), errno);
  return std::string(found.get());
}

// One folder may hold the state of several roots.
Result<std::string> state_path(const std::string& folder, const std::string& root) {
  const std::string id = crypto::sha256(TRY(real(root))).hex().substr(0, 16);
  return folder + "/longhaul-" + id;
}

// The folder that --state named last; empty: none.
Result<std::string> recorded_state(io::PosixFiles& node) {
  const auto text = store::read_whole(node, state_name(), kStateFileBytesMax);
  if (!text && text.error().kind() == Kind::kNotFound) return std::string();
  if (!text) return fail(text.error());
  auto sections = TRY(cli::read_sections(text_of(*text), "state.toml"));
  const std::string folder = sections["state"]["folder"];
  if (folder.empty() || folder[0] != '/')
    return fail(Error(Kind::kMalformed, "read .longhaul/state.toml", "it names no folder")
                    .advise("give --state DIR once more; nothing is lost"));
  return folder;
}

Result<Root> look(const std::string& path) {
  Root root;
  root.path = path;
  root.files = TRY(io::PosixFiles::at(path));
  root.node = TRY(io::PosixFiles::at(path + "/.longhaul"));
  root.state_path = path + "/.longhaul";
  root.state = root.node;
  return root;
}

Result<> make_state(const std::string& folder, const std::string& path) {
  auto made = make_all(path, 0700);
  if (made) return {};
  return fail(Error(made.error().kind(), "make the state folder " + printable(folder),
                    made.error().message())
                  .advise("name another with --state DIR, on a disk of this host: the state holds "
                          "nothing that cannot be made again"));
}

// For a root on a file system without locks.
void lock_there(Root& root) {
  root.files->set_lock_folder(root.state, "root+");
  root.node->set_lock_folder(root.state, "node+");
}

}  // namespace

Result<Root> open_root(const std::string& path) {
  TRY(make(path, 0755));
  TRY(make(path + "/.longhaul", 0700));
  Root root = TRY(look_at_root(path));
  // Where it cannot be made, `run` says why; here it is only for locks.
  if (root.state != nullptr || !make_all(root.state_path, 0700)) return root;
  return look_at_root(path);
}

Result<Root> open_root_with_state(const std::string& path, const std::string& state_folder) {
  TRY(make(path, 0755));
  TRY(make(path + "/.longhaul", 0700));
  Root root = TRY(look(path));
  root.state_folder = state_folder;
  if (state_folder.empty()) {
    root.state_folder = TRY(recorded_state(*root.node));
    if (root.state_folder.empty()) return root;
  } else {
    TRY(make_state(state_folder, state_folder));
    root.state_folder = TRY(real(state_folder));
  }
  root.state_path = TRY(state_path(root.state_folder, path));
  TRY(make_state(root.state_folder, root.state_path));
  root.state = TRY(io::PosixFiles::at(root.state_path));
  lock_there(root);
  return root;
}

Result<> remember_state(const Root& root) {
  if (!root.has_own_state()) return {};
  cli::Sections sections;
  sections["state"] = {{"folder", root.state_folder}};
  return store::write_whole(*root.node, state_name(), bytes_of(cli::write_sections(sections)),
                            0600);
}

Result<Root> look_at_root(const std::string& path) {
  Root root = TRY(look(path));
  const std::string folder = TRY(recorded_state(*root.node));
  if (folder.empty()) return root;
  root.state_folder = folder;
  root.state_path = TRY(state_path(folder, path));
  auto found = io::PosixFiles::at(root.state_path);
  root.state = found ? std::shared_ptr<io::PosixFiles>(*std::move(found)) : nullptr;
  if (root.state != nullptr) lock_there(root);
  return root;
}

}  // namespace longhaul::streamer
