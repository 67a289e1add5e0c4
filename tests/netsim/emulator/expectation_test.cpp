// What a person expects inside a run: a terminal that works, loopback, names, both IP versions, a
// clear word where something is not permitted, and memory that the link explains.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/netsim/emulator/program.hpp"

namespace netsim::test {
namespace {

using ::testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif
using ::testing::Not;
using Words = std::vector<std::string>;

std::string python(const std::string& script) {
  static int count = 0;
  const std::string path = ::testing::TempDir() + "expect-" + std::to_string(::getpid()) + "-" +
                           std::to_string(++count) + ".py";
  std::ofstream(path) << script;
  return path;
}

std::string netsim_program() {
  return std::string(LONGHAUL_BUILD_DIR) + "/tools/netsim/netsim";
}

class Expectation : public EmulatorTest {};

// A shell on a pseudo-terminal: it has job control, Ctrl-C ends what runs in it and not itself, and
// its exit code comes through.
TEST_F(Expectation, AnInteractiveShellWorksOnATerminal) {
  const std::string script = python(R"py(
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ['PS1'] = 'ready> '
    os.environ['SHELL'] = '/bin/sh'
    os.execv(sys.argv[1], [sys.argv[1], 'run', '--allow-invalid', '-q', '--', '/bin/sh', '-i'])
seen = b''
def wait_for(text, seconds=20):
    global seen
    end = time.time() + seconds
    while text not in seen:
        if time.time() > end:
            sys.exit('waited in vain for %r in %r' % (text, seen))
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                sys.exit('the terminal closed: %r' % seen)
    seen = seen[seen.index(text) + len(text):]
def type(text):
    os.write(fd, text)
wait_for(b'ready> ')
type(b'tty; echo side=$NETSIM_SIDE\n')
wait_for(b'/dev/pts/')
wait_for(b'side=a')
type(b'sleep 1000\n')
time.sleep(0.3)
type(b'\x03')
wait_for(b'ready> ')
type(b'sleep 1000 &\n')
wait_for(b'ready> ')
type(b'jobs; kill %1; echo "set $-"\n')
wait_for(b'sleep 1000')
wait_for(b'set ')
wait_for(b'm')
type(b'exit 9\n')
_, status = os.waitpid(pid, 0)
print(os.WEXITSTATUS(status))
)py");
  Program program({}, {"python3", script});
  EXPECT_EQ(program.wait(), 0) << program.err();
  EXPECT_EQ(program.out(), "9\n") << program.err();
  EXPECT_TRUE(program.is_extinct());
}

TEST_F(Expectation, LoopbackIsEachSidesOwnInBothVersions) {
  const std::string script = python(R"py(
import os, socket, sys
for family, address in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.bind((address, 7070))
    s.listen()
    c = socket.create_connection((address, 7070), timeout=5)
    s.accept()[0].sendall(b'here')
    print(c.recv(10).decode())
try:
    socket.create_connection((os.environ['NETSIM_PEER'], 7070), timeout=5)
except ConnectionRefusedError:
    print('not there')
)py");
  const Output output = run_netsim({"run", "--allow-invalid", "--", "python3", script});
  EXPECT_EQ(output.out, "here\nhere\nnot there\n") << output.err;
}

TEST_F(Expectation, NamesComeFromHostsFilesAndAsksOutFailAtOnce) {
  const std::string script = python(R"py(
import socket, time
print(socket.gethostbyname('localhost'))
begin = time.monotonic()
try:
    socket.getaddrinfo('example.org', 80)
    print('resolved')
except socket.gaierror:
    print('no name')
# A resolver that is not reachable is not waited for: 5 s is its shortest timeout.
print(time.monotonic() - begin < 4.5)
)py");
  const Output output = run_netsim({"run", "--allow-invalid", "--", "python3", script});
  EXPECT_EQ(output.out, "127.0.0.1\nno name\nTrue\n") << output.err;
}

TEST_F(Expectation, TcpOverIpv6CrossesTheLinkWholeAndIsAccountedFor) {
  const std::string report = ::testing::TempDir() + "six-" + std::to_string(::getpid());
  const std::string server = python(R"py(
import socket
s = socket.create_server(('::', 7000), family=socket.AF_INET6)
c, _ = s.accept()
data = b''
while len(data) < 3000000:
    data += c.recv(65536)
c.sendall(b'%d' % (data == bytes(range(250)) * 12000))
)py");
  const std::string client = python(R"py(
import os, socket, time
while True:
    try:
        s = socket.create_connection((os.environ['NETSIM_PEER6'], 7000), timeout=20)
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
s.sendall(bytes(range(250)) * 12000)
print(s.recv(10).decode())
)py");
  const Output output =
      run_netsim({"run", "--allow-invalid", "--json", report, "--rtt", "60ms", "--loss", "1%",
                  "--congestion", "reno", "--host", "untuned", "--peer-cmd",
                  "exec python3 " + server, "--", "python3", client});
  EXPECT_EQ(output.out, "1\n") << output.err;
  std::ifstream file(report);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  std::filesystem::remove(report);
  ASSERT_FALSE(json.is_discarded());
  // Also at the listener, where a connection is half open for a round trip and has none yet.
  for (const char* side : {"a", "b"}) {
    const auto& seen = json["sockets"][side]["tcp"];
    EXPECT_EQ(seen["congestion"], nlohmann::json({{"reno", seen["connections"]}})) << side;
  }
  const auto& tcp = json["sockets"]["a"]["tcp"];
  ASSERT_FALSE(tcp["info"].empty()) << json;
  EXPECT_EQ(tcp["info"][0]["congestion"], "reno");
  EXPECT_GE(tcp["info"][0]["min_rtt_us"], 60'000);
  EXPECT_LE(tcp["sndbuf_bytes_max"], 4'194'304);
  EXPECT_GT(tcp["retransmitted_segments"], 0);
}

TEST_F(Expectation, DroppedDatagramsAreCounted) {
  const std::string report = ::testing::TempDir() + "drops-" + std::to_string(::getpid());
  const std::string ready = report + "-ready";
  const std::string server = python(R"py(
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.bind(('', 7000))
open(')py" + ready + R"py(', 'w').close()
time.sleep(100)  # never reads
)py");
  std::filesystem::remove(ready);
  const std::string client = python(R"py(
import os, socket, time
while not os.path.exists(')py" + ready +
                                    R"py('):
    time.sleep(0.02)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(200):
    s.sendto(b'x' * 1000, (os.environ['NETSIM_PEER'], 7000))
    time.sleep(0.001)
time.sleep(0.3)
)py");
  const Output output = run_netsim({"run", "--allow-invalid", "--json", report, "--peer-cmd",
                                    "exec python3 " + server, "--", "python3", client});
  std::filesystem::remove(ready);
  std::ifstream file(report);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  std::filesystem::remove(report);
  ASSERT_FALSE(json.is_discarded()) << output.err;
  const auto& udp = json["sockets"]["b"]["udp"];
  EXPECT_GE(udp["dropped_receive_buffer"], 150) << udp;
  EXPECT_GE(udp["sockets"], 1);
  EXPECT_GT(udp["rcvbuf_bytes_max"], 0);
}

TEST_F(Expectation, ForwardCarriesDatagrams) {
  const std::string client = python(R"py(
import os, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
t = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
t.settimeout(5)
s.sendto(b'six', (os.environ['NETSIM_PEER6'], int(sys.argv[1])))
print(s.recv(100).decode())
t.sendto(b'four', (os.environ['NETSIM_PEER'], int(sys.argv[1])))
print(t.recv(100).decode())
)py");
  const std::string outer = python(R"py(
import socket, subprocess, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 0))
server.settimeout(20)
port = str(server.getsockname()[1])
run = subprocess.Popen([sys.argv[1], 'run', '--allow-invalid', '-q', '--rtt', '10ms', '--forward', port,
                        '--', 'python3', sys.argv[2], port], stdout=subprocess.PIPE)
callers = set()
for _ in range(2):
    data, who = server.recvfrom(100)
    callers.add(who)
    server.sendto(data + b' and back', who)
print(run.communicate()[0].decode(), end='')
print(len(callers))
)py");
  Program program({}, {"python3", outer, netsim_program(), client});
  EXPECT_EQ(program.wait(), 0) << program.err();
  EXPECT_EQ(program.out(), "six and back\nfour and back\n2\n") << program.err();
  EXPECT_TRUE(program.is_extinct());
}

// In a container without rights, netsim says which is missing and which face still works.
TEST_F(Expectation, WithoutAnyPermissionItSaysWhatIsMissingAndWhatWorks) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give up what containers lack";
  const std::string inside = python(R"py(
import os, subprocess, sys
open('/proc/sys/user/max_user_namespaces', 'w').write('0')  # of this user namespace alone
r = subprocess.run(['setpriv', '--bounding-set', '-all', '--inh-caps', '-all', '--no-new-privs',
                    sys.argv[1], 'run', '--', 'true'], capture_output=True, text=True)
print(r.returncode)
print(r.stderr, end='')
)py");
  Program program({},
                  {"unshare", "--user", "--map-root-user", "python3", inside, netsim_program()});
  if (program.wait() != 0) GTEST_SKIP() << "no user namespaces here: " << program.err();
  EXPECT_THAT(program.out(), ::testing::StartsWith("125\n"));
  EXPECT_THAT(program.out(), HasSubstr("create a user namespace"));
  EXPECT_THAT(program.out(), HasSubstr("netsim relay"));
}

TEST_F(Expectation, WithoutTheTunDeviceItTakesPacketSockets) {
  const Words hidden{
      "unshare", "--mount", "sh", "-c", "mount -t tmpfs none /dev/net && exec \"$@\"", "sh"};
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to hide the device";
  Program program({"run", "--allow-invalid", "--", "ping", "-c", "1", "-W", "5", "198.18.0.2"},
                  hidden);
  const int code = program.wait();
  EXPECT_EQ(code, 0) << program.err();
  EXPECT_THAT(program.err(), HasSubstr("veth and packet sockets as root"));
}

// A container's root, as its runtime leaves it: no device, and of the capabilities none that
// matters here.
TEST_F(Expectation, InAContainerWithUserNamespacesItNeedsNoCapability) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give up what containers lack";
  const Words contained{"unshare",
                        "--mount",
                        "sh",
                        "-c",
                        "mount -t tmpfs none /dev/net && exec setpriv --inh-caps -all "
                        "--bounding-set -sys_admin,-net_admin,-net_raw,-sys_nice \"$@\"",
                        "sh"};
  Program program({"run", "--allow-invalid", "--", "ping", "-c", "1", "-W", "5", "198.18.0.2"},
                  contained);
  EXPECT_EQ(program.wait(), 0) << program.err();
  EXPECT_THAT(program.err(), HasSubstr("veth and packet sockets in a user namespace"));
  EXPECT_THAT(program.err(), HasSubstr("open /dev/net/tun: No such file or directory"));
  EXPECT_THAT(program.err(), HasSubstr("CAP_SYS_NICE"));
}

// As Docker and Podman leave it; each host's settings are still its own.
const char* const kReadOnlySettings =
    "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$@\"";

TEST_F(Expectation, ReadOnlyKernelSettingsAreMadeWritableForTheHostsAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make them read-only";
  for (const char* backend : {"tun", "packet"}) {
    Program program(
        {"run", "--allow-invalid", "--backend", backend, "--host", "untuned", "--", "sh", "-c",
         "cat /proc/sys/net/ipv4/tcp_rmem; ! touch /proc/sys/net/ipv4/tcp_rmem"},
        {"unshare", "--mount", "sh", "-c", kReadOnlySettings, "sh"});
    EXPECT_EQ(program.wait(), 0) << program.err();
    EXPECT_THAT(program.out(), HasSubstr("4096\t131072\t6291456")) << backend;
    EXPECT_THAT(program.err(), HasSubstr("Read-only file system")) << "of touch, for the command";
  }
}

TEST_F(Expectation, ReadOnlyKernelSettingsThatStaySoAreOneClearLine) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make them read-only";
  Program program({"run", "--user-namespace", "--host", "untuned", "--", "true"},
                  {"unshare", "--mount", "sh", "-c", kReadOnlySettings, "sh"});
  EXPECT_EQ(program.wait(), 125);
  EXPECT_THAT(program.err(), HasSubstr("open /proc/sys/net/ipv4/tcp_wmem: Read-only file system"));
  EXPECT_THAT(program.err(), HasSubstr("systempaths=unconfined"));
  EXPECT_THAT(program.err(), Not(HasSubstr("File exists"))) << "of a second try over the first";
}

// 1 Gbit/s over 200 ms: 25 MB in flight and 12.5 MB of queue.
TEST_F(Expectation, MemoryIsWhatTheLinkHolds) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's shadow is counted as ours";
  const std::string report = ::testing::TempDir() + "memory-" + std::to_string(::getpid());
  const std::string script = python(R"py(
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 1400)
block = b'x' * 61600
end = time.time() + 1.5
while time.time() < end:
    for _ in range(4):
        s.sendto(block, (os.environ['NETSIM_PEER'], 9))
    time.sleep(0.001)
parent = os.getppid()
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if open(f'/proc/{pid}/comm').read() == 'netsim-link\n' and \
           os.environ['MARK'] in open(f'/proc/{pid}/environ').read():
            print([l for l in open(f'/proc/{pid}/status') if l.startswith('VmHWM')][0].split()[1])
    except OSError:
        pass
)py");
  const std::string mark = "memory-" + std::to_string(::getpid());
  Program program({"run", "--allow-invalid", "--json", report, "--rtt", "400ms", "--rate", "1gbit",
                   "--queue", "100ms", "--", "python3", script},
                  {"env", "MARK=" + mark});
  EXPECT_EQ(program.wait(), 0) << program.err();
  std::ifstream file(report);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  std::filesystem::remove(report);
  ASSERT_FALSE(json.is_discarded()) << program.err();
  // One way is 200 ms. What was really inside, not what could have been: a busy machine sends less.
  const double bdp = 0.2 * 1e9 / 8, queue = json["up"]["queue_bytes_max"].get<double>();
  const double packets = (bdp + queue) / 1428;
  const double bar = 1.1 * (bdp + queue) + 64 * packets + 16e6;
  const double used = std::strtod(program.out().c_str(), nullptr) * 1024;
  RecordProperty("peak_bytes", static_cast<int>(used));
  RecordProperty("bar_bytes", static_cast<int>(bar));
  EXPECT_GT(used, 0) << program.out();
  EXPECT_LE(used, bar);
}

// ---- The relay, by name ----

TEST(RelayByName, IsSteeredLikeALink) {
  const std::string name = "relay-" + std::to_string(::getpid());
  Program relay({"relay", "--name", name, "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9",
                 "--allow-invalid"});
  ASSERT_TRUE(relay.wait_for("stats | stop")) << relay.err();
  EXPECT_EQ(run_netsim({"ctl", name, "set", "rtt=300ms"}).code, 0);
  EXPECT_THAT(run_netsim({"ctl", name, "link"}).out, HasSubstr("150ms"));
  EXPECT_THAT(run_netsim({"ctl", name, "stats"}).out, HasSubstr("\"face\":\"relay\""));
  EXPECT_EQ(run_netsim({"ctl", name, "dance"}).code, 2);
  const Output entered = run_netsim({"exec", name, "a", "--", "true"});
  EXPECT_EQ(entered.code, 2) << entered.err;
  const Output again =
      run_netsim({"relay", "--name", name, "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"});
  EXPECT_EQ(again.code, 125);
  EXPECT_THAT(again.err, HasSubstr("is running"));
  EXPECT_EQ(run_netsim({"ctl", name, "stop"}).code, 0);
  EXPECT_EQ(relay.wait(), 0) << relay.err();
  EXPECT_EQ(run_netsim({"ctl", name, "stats"}).code, 2);
}

TEST(RelayByName, NonsenseIsOneLineAndTwo) {
  const std::string far = "127.0.0.1:9", here = "127.0.0.1:0";
  const std::vector<Words> nonsense = {{"--listen", here, "--to", "nowhere"},
                                       {"--listen", here, "--to", far, "--loss", "-1%"},
                                       {"--listen", here, "--to", far, "--rate", "0"},
                                       {"--listen", here, "--to", far, "--queue", "10GB"},
                                       {"--listen", here, "--to", far, "--slice", "0B/1ms"},
                                       {"--listen", here, "--to", far, "--profile", "atlantis"},
                                       {"--listen", here, "--to", far, "--tcp-only", "--udp-only"},
                                       {"--listen", here, "--to", far, "--name", "../x"},
                                       {"--listen", here, "--to", far, "--control", "0.0.0.0:7000"},
                                       {"--to", far}};
  for (Words words : nonsense) {
    words.insert(words.begin(), "relay");
    const Output output = run_netsim(words);
    EXPECT_EQ(output.code, 2) << words.back() << output.err;
    EXPECT_LE(std::count(output.err.begin(), output.err.end(), '\n'), 2) << output.err;
  }
}

TEST(Traces, ThatGoBackOrAreEmptyAreRefused) {
  const std::string path = ::testing::TempDir() + "trace-" + std::to_string(::getpid());
  for (const char* text : {"", "5\n3\n", "1\nx\n", "0\n"}) {
    std::ofstream(path) << text;
    const Output output = run_netsim({"run", "--rate", "trace:" + path, "--", "true"});
    EXPECT_EQ(output.code, 2) << text << output.err;
    EXPECT_LE(std::count(output.err.begin(), output.err.end(), '\n'), 2) << output.err;
    EXPECT_THAT(output.err, HasSubstr(path)) << "which of the files?";
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace netsim::test
