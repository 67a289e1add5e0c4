#include "proxy/ssh.hpp"

#include <algorithm>
#include <sstream>

#include "lib/base/escape.hpp"
#include "lib/io/task_group.hpp"
#include "lib/io/within.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kDialTime = 60s;
constexpr std::size_t kOutMax = 64U << 10;
// What `longhaul-streamer carry` says first; before it may stand what a login shell printed.
constexpr std::string_view kGreeting = "longhaul-carrier 1\n";

bool is_plain(char c) {
  constexpr std::string_view kSigns = "._/~+=@,:-";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kSigns.find(c) != std::string_view::npos;
}

Error ssh_failed(const std::string& host, int code, const std::string& complaint) {
  const std::string said = io::last_line(complaint);
  const std::string attempt = "reach " + printable(host, 80) + " by ssh";
  if (code == 127) {
    return Error(Kind::kNotFound, attempt,
                 said.empty() ? "there is no longhaul-streamer any more" : said)
        .advise("run `longhaul join NAME --ssh " + printable(host, 80) +
                "` again: it puts one there");
  }
  return Error(Kind::kLink, attempt,
               said.empty() ? "ssh ended with code " + std::to_string(code) : said)
      .advise("see that `ssh " + printable(host, 80) + " true` works, then run it again");
}

io::Task<Result<>> hear_greeting(io::Process& process) {
  std::string heard;
  for (;;) {
    const Result<Slice> in = co_await process.read();
    if (!in || in->empty()) co_return fail(Kind::kLink, "hear the carrier");
    heard += text_of(in->bytes());
    const std::size_t at = heard.find(kGreeting);
    if (at != std::string::npos && at + kGreeting.size() == heard.size()) break;
    if (heard.size() > kOutMax || at != std::string::npos)
      co_return fail(Kind::kMalformed, "hear the carrier", "it says something else");
  }
  co_return Result<>();
}

io::Task<> feed(io::Stream& process, std::vector<Slice> input) {
  if (!input.empty()) {
    const Result<> written = co_await process.write(std::move(input));
    if (!written) co_return;  // it has ended: its exit code says why
  }
  process.finish();
}

}  // namespace

Result<> check_plain(std::string_view text, std::string_view noun) {
  if (!text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), is_plain))
    return {};
  return fail(Error(Kind::kUsage,
                    "use '" + printable(text, 80) + "' as " + std::string(noun) + " over ssh",
                    text.empty() ? "it is empty" : "a shell could read it otherwise")
                  .advise("use letters, digits and . _ / ~ + = @ , : - only"));
}

Result<> check_destination(std::string_view host) {
  const bool blank = host.find_first_of(" \t\r\n") != std::string_view::npos;
  if (!host.empty() && host.front() != '-' && !blank) return {};
  return fail(Error(Kind::kUsage, "reach '" + printable(host, 80) + "' by ssh",
                    "it is no destination that ssh takes")
                  .advise("write HOST or USER@HOST, or a Host of your ssh config"));
}

std::vector<std::string> ssh_words(const App& app, const std::string& host,
                                   const std::string& script) {
  ASSERT(script.find('\'') == std::string::npos);
  std::vector<std::string> words;
  const auto own = app.config.find("ssh.command");
  std::istringstream parts(own ? own->value : std::string("ssh"));
  for (std::string word; parts >> word;) words.push_back(word);
  if (words.empty()) words.emplace_back("ssh");
  words.emplace_back("--");
  words.push_back(host);
  words.push_back("sh -c '" + script + "'");
  return words;
}

io::Task<Result<SshAnswer>> ask_ssh(App& app, std::vector<std::string> words,
                                    std::vector<Slice> input) {
  auto started = app.env.run_program(std::move(words));
  if (!started) {
    co_return fail(Error(started.error()).advise("install an ssh client, or set ssh.command"));
  }
  const std::unique_ptr<io::Process> process = *std::move(started);
  bool stopped = false;
  app.when_stopped([&] {
    stopped = true;
    process->close();
  });
  io::TaskGroup writer(app.env.executor());
  writer.spawn(feed(*process, std::move(input)));
  SshAnswer answer;
  for (;;) {
    const Result<Slice> in = co_await process->read();
    if (!in || in->empty()) break;
    if (answer.out.size() < kOutMax) answer.out += text_of(in->bytes());
  }
  answer.code = co_await process->exited();
  answer.error = io::last_line(process->complaint());
  process->close();
  co_await writer.join();
  app.on_stop = nullptr;
  if (stopped) co_return fail(Kind::kInterrupted, "wait for ssh");
  co_return answer;
}

io::Task<Result<std::unique_ptr<io::Stream>>> dial_by_ssh(App& app, std::string host,
                                                          std::string root) {
  const std::string script =
      std::string(kRemotePath) + "exec longhaul-streamer carry --root " + root;
  auto started = app.env.run_program(ssh_words(app, host, script));
  if (!started) co_return fail(started.error());
  std::unique_ptr<io::Process> process = *std::move(started);
  const Time until = app.env.now() + kDialTime;
  const Result<> greeted = co_await io::within(app.env, until, hear_greeting(*process));
  if (!greeted) {
    if (greeted.error().kind() == Kind::kMalformed) {
      process->close();
      co_return fail(greeted.error());
    }
    process->close();
    if (greeted.error().kind() == Kind::kTimeout)
      co_return fail(Kind::kTimeout, "reach " + printable(host, 80) + " by ssh");
    const int code = co_await process->exited();
    co_return fail(ssh_failed(host, code, process->complaint()));
  }
  std::unique_ptr<io::Stream> stream = std::move(process);
  co_return stream;
}

}  // namespace longhaul::proxy
