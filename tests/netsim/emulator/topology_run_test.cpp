// Networks of several hosts with real kernels, and what a NAT's rebinding does to their packets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include <nlohmann/json.hpp>

#include "tests/netsim/emulator/program.hpp"

namespace netsim::test {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class File {  // gone with this object
 public:
  explicit File(const std::string& text) {
    static int count = 0;
    path_ = ::testing::TempDir() + "topology-" + std::to_string(::getpid()) + "-" +
            std::to_string(++count) + ".json";
    std::ofstream(path_) << text;
  }
  ~File() { std::filesystem::remove(path_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

constexpr const char* kChain = R"({
  "netsim_topology": 1, "hosts": ["laptop", "isp", "site"],
  "links": [{"between": ["laptop", "isp"], "link": {"rtt": "20ms"}},
            {"name": "ocean", "between": ["isp", "site"], "link": {"rtt": "60ms"}}]})";

double number_after(const std::string& text, const std::string& label) {
  const auto at = text.find(label);
  return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + label.size(), nullptr);
}

class Network : public EmulatorTest {
 protected:
  File file_{kChain};
};

TEST_F(Network, PingCrossesEveryLinkOnTheWay) {
  const std::string script =
      "ping -c 2 -i 0.2 $NETSIM_ADDRESS_SITE && ping -c 2 -i 0.2 $NETSIM_ADDRESS6_ISP";
  const Output output =
      run_netsim({"run", "--allow-invalid", "--topology", file_.path(), "--", "sh", "-c", script});
  EXPECT_EQ(output.code, 0) << output.out << output.err;
  const auto second = output.out.find("2001:2::b ping statistics");
  ASSERT_NE(second, std::string::npos) << output.out;
  EXPECT_GE(number_after(output.out, "min/avg/max/mdev = "), 80) << output.out;
  EXPECT_GE(number_after(output.out.substr(second), "min/avg/max/mdev = "), 20) << output.out;
  EXPECT_THAT(output.err, HasSubstr("ocean: isp to site: 2 packets"));
}

TEST_F(Network, CommandsRunOnTheHostsAskedFor) {
  const std::string path = ::testing::TempDir() + "topology-said-" + std::to_string(::getpid());
  const Output output =
      run_netsim({"run", "--allow-invalid", "--topology", file_.path(), "--on", "site", "--start",
                  "isp=echo $NETSIM_HOST >" + path, "--", "sh", "-c",
                  "while ! [ -s " + path + " ]; do sleep 0.05; done; echo on $NETSIM_HOST"});
  EXPECT_EQ(output.out, "on site\n") << output.err;
  std::string said;
  std::ifstream(path) >> said;
  EXPECT_EQ(said, "isp");
  std::filesystem::remove(path);
}

TEST_F(Network, LinksAreSteeredByName) {
  const std::string name = "net-" + std::to_string(::getpid());
  Program link({"link", "--name", name, "--topology", file_.path()});
  ASSERT_TRUE(link.wait_for("stats | down")) << link.err();
  EXPECT_EQ(run_netsim({"ctl", name, "--link", "ocean", "set", "rtt=200ms"}).code, 0);
  const Output ping =
      run_netsim({"exec", name, "laptop", "--", "sh", "-c", "ping -c 1 -W 2 $NETSIM_ADDRESS_SITE"});
  EXPECT_GE(number_after(ping.out, "min/avg/max/mdev = "), 220) << ping.out << ping.err;
  EXPECT_EQ(run_netsim({"ctl", name, "--link", "ocean", "outage", "1h"}).code, 0);
  EXPECT_EQ(run_netsim({"exec", name, "isp", "--", "sh", "-c", "ping -c 1 -W 1 198.18.0.3"}).code,
            1);
  const Output which = run_netsim({"ctl", name, "set", "rtt=1ms"});
  EXPECT_EQ(which.code, 2);
  EXPECT_THAT(which.err, HasSubstr("laptop-isp, ocean"));
  EXPECT_EQ(run_netsim({"ctl", name, "--link", "river", "outage", "1s"}).code, 2);
  EXPECT_EQ(run_netsim({"exec", name, "moon", "--", "true"}).code, 2);
  EXPECT_EQ(run_netsim({"ctl", name, "down"}).code, 0);
  EXPECT_TRUE(link.is_extinct());
}

TEST_F(Network, KillNineLeavesNothingBehind) {
  for (const char* victim : {"netsim", "netsim-link"}) {
    Program program({"run", "--allow-invalid", "--topology", file_.path(), "--start",
                     "isp=setsid sleep 1000", "--start", "site=sleep 1000", "--", "sh", "-c",
                     "sleep 1000 & echo ready; sleep 1000"});
    ASSERT_TRUE(program.wait_for("ready")) << program.err();
    const pid_t pid = program.find(victim);
    ASSERT_GT(pid, 0);
    ::kill(pid, SIGKILL);
    program.wait();
    EXPECT_TRUE(program.is_extinct()) << victim;
  }
}

TEST_F(Network, WorksWithoutRoot) {
  const Words user = ::geteuid() == 0
                         ? Words{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
                         : Words{};
  Program program({"run", "--allow-invalid", "--topology", file_.path(), "--", "sh", "-c",
                   "ping -c 1 -W 5 $NETSIM_ADDRESS_SITE"},
                  user);
  const int code = program.wait();
  if (code == 125) GTEST_SKIP() << "user namespaces are not permitted here: " << program.err();
  EXPECT_EQ(code, 0) << program.err();
  EXPECT_GE(number_after(program.out(), "min/avg/max/mdev = "), 80);
}

TEST_F(Network, NonsenseIsOneLineAndTwo) {
  const File broken("{"), alone(R"({"netsim_topology":1,"hosts":["a","b"],"links":[]})");
  const std::vector<Words> nonsense = {{"--topology", "/no/such/file"},
                                       {"--topology", broken.path()},
                                       {"--topology", alone.path()},
                                       {"--topology", file_.path(), "--rtt", "5ms"},
                                       {"--topology", file_.path(), "--on", "moon"},
                                       {"--topology", file_.path(), "--start", "moon=true"},
                                       {"--topology", file_.path(), "--start", "true"},
                                       {"--topology", file_.path(), "--peer-cmd", "true"},
                                       {"--topology", file_.path(), "--forward", "80"}};
  for (Words words : nonsense) {
    const std::string shown = words.back();
    words.insert(words.begin(), "run");
    words.insert(words.end(), {"--", "true"});
    const Output output = run_netsim(words);
    EXPECT_EQ(output.code, 2) << shown << output.err;
    EXPECT_LE(std::count(output.err.begin(), output.err.end(), '\n'), 2) << output.err;
  }
}

// A UDP server says where each question came from; between the second and the third the NAT
// forgets.
constexpr const char* kWhoAmI = R"py(
import os, socket
s = socket.socket(socket.AF_INET6 if V6 else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 9000))
while True:
    data, who = s.recvfrom(100)
    s.sendto(('%s %d' % who[:2]).encode(), who)
)py";
constexpr const char* kAsk = R"py(
import os, socket, subprocess, sys, time
s = socket.socket(socket.AF_INET6 if V6 else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 5000))
s.settimeout(0.3)
peer = os.environ['NETSIM_PEER6' if V6 else 'NETSIM_PEER']
def ask():
    for _ in range(40):
        s.sendto(b'who am I?', (peer, 9000))
        try:
            return s.recv(100).decode()
        except socket.timeout:
            pass
print(ask())
subprocess.check_call([sys.argv[1], 'ctl', os.environ['NETSIM_LINK'], 'rebind', 'address'])
print(ask())
subprocess.check_call([sys.argv[1], 'ctl', os.environ['NETSIM_LINK'], 'rebind'])
print(ask())
)py";

class Rebinding : public EmulatorTest, public ::testing::WithParamInterface<bool> {};
TEST_P(Rebinding, ChangesWhatTheFarSideSeesAndAnswersFindTheirWay) {
  const std::string v6 = GetParam() ? "V6 = True\n" : "V6 = False\n";
  const File server(v6 + kWhoAmI), client(v6 + kAsk);
  const std::string netsim = std::string(LONGHAUL_BUILD_DIR) + "/tools/netsim/netsim";
  const std::string name = "rebind-" + std::to_string(::getpid()) + (GetParam() ? "-6" : "-4");
  const Output output =
      run_netsim({"run", "--allow-invalid", "--name", name, "--peer-cmd",
                  "exec python3 " + server.path(), "--", "python3", client.path(), netsim});
  EXPECT_EQ(output.code, 0) << output.err;
  std::istringstream lines(output.out);
  std::string address, first_address;
  int first = 0, second = 0, third = 0;
  lines >> first_address >> first >> address >> second;
  EXPECT_EQ(first, 5000) << output.out << output.err;
  EXPECT_EQ(first_address, GetParam() ? "2001:2::a" : "198.18.0.1");
  EXPECT_EQ(address, GetParam() ? "2001:2:0:1::" : "198.18.64.0") << output.out;
  EXPECT_NE(second, 5000);
  lines >> address >> third;
  EXPECT_NE(third, second) << output.out;
}
INSTANTIATE_TEST_SUITE_P(Ip, Rebinding, ::testing::Bool());

// A TCP server that says where a caller comes from; a caller that says what it heard, and which
// congestion control its connection had.
constexpr const char* kDoorman = R"py(
import socket
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(('::', 9000))
s.listen()
print('open', flush=True)
while True:
    caller, who = s.accept()
    caller.sendall(who[0].removeprefix('::ffff:').encode())
    caller.close()
)py";
constexpr const char* kCaller = R"py(
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], 9000), 5)
    congestion = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    print(s.recv(100).decode(), congestion.split(b'\0')[0].decode())
except OSError as error:
    print(error.strerror or error)
)py";

class Moving : public EmulatorTest {
 protected:
  void begin(Words options, const std::string& laptop, const std::string& site) {
    laptop_ = laptop;
    Words words{"link", "--name", name_};
    words.insert(words.end(), options.begin(), options.end());
    link_.emplace(words);
    ASSERT_TRUE(link_->wait_for("stats | down")) << link_->err();
    doorman_.emplace(Words{"exec", name_, site, "--", "python3", server_.path()});
    ASSERT_TRUE(doorman_->wait_for("open")) << doorman_->err();
  }
  std::string call(const std::string& address) {
    return run_netsim({"exec", name_, laptop_, "--", "python3", client_.path(), address}).out;
  }
  Output move(const std::string& how = "") {
    Words words{"ctl", name_, "move", laptop_};
    if (!how.empty()) words.push_back(how);
    return run_netsim(words);
  }
  const std::string name_ = "move-" + std::to_string(::getpid());
  std::string laptop_;
  File server_{kDoorman}, client_{kCaller};
  std::optional<Program> link_, doorman_;
};

TEST_F(Moving, AHostIsAnsweredWhereItHasMovedTo) {
  begin({"--rtt", "10ms", "--congestion", "reno"}, "a", "b");
  EXPECT_EQ(call("198.18.0.2"), "198.18.0.1 reno\n");
  const auto told = nlohmann::json::parse(move().out);
  EXPECT_EQ(told["address"], "198.19.0.1");
  EXPECT_EQ(call("198.18.0.2"), "198.19.0.1 reno\n");  // the lock went with the route, and is back
  EXPECT_EQ(call("2001:2::b"), told["address6"].get<std::string>() + " reno\n");
  EXPECT_EQ(run_netsim({"ctl", name_, "rebind", "address"}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(move().out)["address"], "198.19.0.2");
  EXPECT_EQ(call("198.18.0.2"), "198.19.0.2 reno\n");  // that NAT stands in the network it left
}

TEST_F(Moving, AHostThatIsAwayHasNoAddressAtAll) {
  begin({"--rtt", "10ms"}, "a", "b");
  EXPECT_EQ(move("away").code, 0);
  EXPECT_EQ(move("away").code, 0);
  EXPECT_EQ(call("198.18.0.2"), "Network is unreachable\n");
  EXPECT_EQ(call("2001:2::b"), "Network is unreachable\n");
  const Output left = run_netsim(
      {"exec", name_, "a", "--", "sh", "-c", "grep wan0 /proc/net/if_inet6 /proc/net/route"});
  EXPECT_EQ(left.out, "") << left.err;  // not even a link-local one
  EXPECT_EQ(left.code, 1) << left.err;  // grep found none
  EXPECT_EQ(move().code, 0);
  EXPECT_EQ(call("198.18.0.2").rfind("198.19.0.1 ", 0), 0U);
}

TEST_F(Moving, TheHostsBetweenFindIt) {
  const File chain(kChain);
  begin({"--topology", chain.path()}, "laptop", "site");
  EXPECT_EQ(move().code, 0);
  EXPECT_EQ(call("198.18.0.3").rfind("198.19.0.1 ", 0), 0U);
  EXPECT_EQ(call("2001:2::c").rfind("2001:2:0:2::1 ", 0), 0U);
  const Output nobody = run_netsim({"ctl", name_, "move", "moon"});
  EXPECT_EQ(nobody.code, 2);
  EXPECT_THAT(nobody.err, HasSubstr("laptop, isp, site"));
}

// The kernel takes the routes of a device with its last IPv4 address: a user who changes addresses
// by hand puts them back (docs/netsim.md).
TEST_F(Moving, AnAddressByHandIsAnswered) {
  begin({"--rtt", "10ms"}, "a", "b");
  EXPECT_EQ(run_netsim({"ctl", name_, "rebind"}).code, 0);
  const std::string script =
      "ip address del 198.18.0.1/32 dev wan0 && ip address add 198.18.0.9/32 dev wan0 &&"
      "ip route add 198.18.0.0/15 dev wan0";
  const Output moved = run_netsim({"exec", name_, "a", "--", "sh", "-c", script});
  if (moved.code == 127) GTEST_SKIP() << "no ip program: " << moved.err;
  ASSERT_EQ(moved.code, 0) << moved.err;
  EXPECT_EQ(call("198.18.0.2").rfind("198.18.0.9 ", 0), 0U);
}

}  // namespace
}  // namespace netsim::test
