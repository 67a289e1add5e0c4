// The user's own ssh, as a program: their config, agent, ProxyJump and prompts, with no option of
// ours. What runs at the far end is one `sh -c '..'` that every login shell passes on unchanged; no
// text from a user or peer goes into it unless it is plain (see check_plain).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/io/process.hpp"
#include "proxy/app.hpp"

namespace longhaul::proxy {

// Letters, digits and a few signs that no shell gives a meaning to. kUsage otherwise.
Result<> check_plain(std::string_view text, std::string_view noun);
// A destination as ssh takes it: not empty, no option, no blank.
Result<> check_destination(std::string_view host);

// `ssh` or what the setting ssh.command says (words between blanks), then the destination and the
// command. `script` must be without a single quote.
std::vector<std::string> ssh_words(const App& app, const std::string& host,
                                   const std::string& script);

struct SshAnswer {
  int code = 0;       // 255: ssh itself failed
  std::string out;    // at most 64 KiB
  std::string error;  // the last line of what it complained of, printable
};
// Runs the command with these bytes as its input and waits for its end. kInterrupted by Ctrl-C.
io::Task<Result<SshAnswer>> ask_ssh(App& app, std::vector<std::string> words,
                                    std::vector<Slice> input);

// A connection to the streamer of `root` at `host`, carried by an ssh of its own. Waits at most
// a minute, since a person may have to type a password.
io::Task<Result<std::unique_ptr<io::Stream>>> dial_by_ssh(App& app, std::string host,
                                                          std::string root);

// A script begins so: in the home folder, with the streamer that join put there before any other.
constexpr std::string_view kRemotePath = "cd; PATH=\"$HOME/.longhaul/bin:$PATH\"; export PATH; ";

}  // namespace longhaul::proxy
