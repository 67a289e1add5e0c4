#include "netsim/emulator/netlink.hpp"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/base/assert.hpp"

namespace netsim::emulator {

using longhaul::fail_errno;

namespace {

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + 3) & ~std::size_t{3};
}

}  // namespace

// A request under construction: netlink header, a fixed part, attributes (nested ones by
// begin/end).
class Netlink::Message {
 public:
  template <class Fixed>
  Message(int type, int flags, const Fixed& fixed) : data_(sizeof(nlmsghdr)) {
    head_.nlmsg_type = static_cast<std::uint16_t>(type);
    head_.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(fixed);
  }
  template <class Value>
  void append(const Value& value) {
    append_bytes(&value, sizeof value);
  }
  void attribute(int type, const void* data, std::size_t bytes) {
    const rtattr head{static_cast<std::uint16_t>(sizeof(rtattr) + bytes),
                      static_cast<std::uint16_t>(type)};
    append(head);
    append_bytes(data, bytes);
  }
  void attribute(int type, std::uint32_t value) { attribute(type, &value, sizeof value); }
  void attribute(int type, const std::string& text) {
    attribute(type, text.c_str(), text.size() + 1);
  }
  std::size_t begin(int type) {
    const std::size_t at = data_.size();
    attribute(type, nullptr, 0);
    return at;
  }
  void end(std::size_t at) {
    const auto bytes = static_cast<std::uint16_t>(data_.size() - at);
    std::memcpy(data_.data() + at, &bytes, sizeof bytes);
  }
  std::vector<char> finish(std::uint32_t sequence) const {
    std::vector<char> out = data_;
    nlmsghdr head = head_;
    head.nlmsg_len = static_cast<std::uint32_t>(out.size());
    head.nlmsg_seq = sequence;
    std::memcpy(out.data(), &head, sizeof head);
    return out;
  }

 private:
  void append_bytes(const void* data, std::size_t bytes) {
    const auto* begin = static_cast<const char*>(data);
    if (bytes > 0) data_.insert(data_.end(), begin, begin + bytes);
    data_.resize(aligned(data_.size()));
  }

  nlmsghdr head_{};
  std::vector<char> data_;  // room for the header, then the rest
};

Address Address::parse(const char* text) {
  Address out;
  out.v6 = std::strchr(text, ':') != nullptr;
  ASSERT(::inet_pton(out.v6 ? AF_INET6 : AF_INET, text, out.bytes.data()) == 1);
  return out;
}

Result<Netlink> Netlink::open() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return fail_errno("open a netlink socket", errno);
  return Netlink(std::move(fd));
}

Result<> Netlink::send(const Message& message, const std::string& attempt) {
  const std::vector<char> request = message.finish(++sequence_);
  if (::send(fd_.get(), request.data(), request.size(), 0) < 0) return fail_errno(attempt, errno);
  alignas(nlmsghdr) std::array<char, 8192> answer;
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(int)))
      return fail_errno(attempt, got < 0 ? errno : EPROTO);
    nlmsghdr head;
    std::memcpy(&head, answer.data(), sizeof head);
    if (head.nlmsg_seq != sequence_ || head.nlmsg_type != NLMSG_ERROR) continue;
    int error = 0;
    std::memcpy(&error, answer.data() + sizeof head, sizeof error);
    if (error != 0) return fail_errno(attempt, -error);
    return {};
  }
}

Result<int> Netlink::index_of(const std::string& device) {
  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  // Of the socket's namespace; if_nametoindex() asks the thread's.
  if (::ioctl(fd_.get(), SIOCGIFINDEX, &request) != 0)
    return fail_errno("find device " + device, errno);
  return request.ifr_ifindex;
}

Result<> Netlink::set_up(const std::string& device, const DeviceSettings& settings) {
  TRY(forbid_link_local(device));
  ifinfomsg info{};
  info.ifi_index = TRY(index_of(device));
  info.ifi_flags = IFF_UP;
  if (settings.no_arp) info.ifi_flags |= IFF_NOARP;
  info.ifi_change = info.ifi_flags;
  Message message(RTM_NEWLINK, 0, info);
  message.attribute(IFLA_MTU, settings.mtu);
  message.attribute(IFLA_TXQLEN, settings.transmit_queue_packets);
  if (settings.mac) message.attribute(IFLA_ADDRESS, settings.mac->data(), settings.mac->size());
  return send(message, "set up device " + device);
}

// Else a host that has lost its addresses would still have one, and speak from it. To be done
// before the device is up: in the same request the kernel would take it up first.
Result<> Netlink::forbid_link_local(const std::string& device) {
  ifinfomsg info{};
  info.ifi_index = TRY(index_of(device));
  Message message(RTM_NEWLINK, 0, info);
  const std::size_t spec = message.begin(IFLA_AF_SPEC);
  const std::size_t inet6 = message.begin(AF_INET6);
  const std::uint8_t mode = 1;  // IN6_ADDR_GEN_MODE_NONE
  message.attribute(IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
  message.end(inet6);
  message.end(spec);
  return send(message, "set up device " + device);
}

Result<> Netlink::set_loopback_up() {
  ifinfomsg info{};
  info.ifi_index = TRY(index_of("lo"));
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  return send(Message(RTM_NEWLINK, 0, info), "set up loopback");
}

Result<> Netlink::add_address(const std::string& device, const Address& address,
                              unsigned prefix_bits) {
  ifaddrmsg info{};
  info.ifa_family = address.v6 ? AF_INET6 : AF_INET;
  info.ifa_prefixlen = static_cast<std::uint8_t>(prefix_bits);
  info.ifa_index = static_cast<std::uint32_t>(TRY(index_of(device)));
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, info);
  message.attribute(IFA_LOCAL, address.bytes.data(), address.size());
  message.attribute(IFA_ADDRESS, address.bytes.data(), address.size());
  // The route is added apart, with its metrics; nobody else can hold the address.
  message.attribute(IFA_FLAGS, std::uint32_t{IFA_F_NODAD | IFA_F_NOPREFIXROUTE});
  return send(message, "add an address to " + device);
}

Result<> Netlink::remove_address(const std::string& device, const Address& address,
                                 unsigned prefix_bits) {
  ifaddrmsg info{};
  info.ifa_family = address.v6 ? AF_INET6 : AF_INET;
  info.ifa_prefixlen = static_cast<std::uint8_t>(prefix_bits);
  info.ifa_index = static_cast<std::uint32_t>(TRY(index_of(device)));
  Message message(RTM_DELADDR, 0, info);
  message.attribute(IFA_LOCAL, address.bytes.data(), address.size());
  return send(message, "remove an address from " + device);
}

Result<> Netlink::remove_route(const std::string& device, const Address& to, unsigned prefix_bits) {
  rtmsg info{};
  info.rtm_family = to.v6 ? AF_INET6 : AF_INET;
  info.rtm_dst_len = static_cast<std::uint8_t>(prefix_bits);
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_scope = RT_SCOPE_NOWHERE;  // any
  Message message(RTM_DELROUTE, 0, info);
  message.attribute(RTA_DST, to.bytes.data(), to.size());
  message.attribute(RTA_OIF, static_cast<std::uint32_t>(TRY(index_of(device))));
  return send(message, "remove a route over " + device);
}

Result<> Netlink::add_route(const std::string& device, const Address& to, unsigned prefix_bits,
                            const std::string& congestion) {
  rtmsg info{};
  info.rtm_family = to.v6 ? AF_INET6 : AF_INET;
  info.rtm_dst_len = static_cast<std::uint8_t>(prefix_bits);
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_STATIC;
  info.rtm_scope = static_cast<std::uint8_t>(to.v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
  info.rtm_type = RTN_UNICAST;
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, info);
  message.attribute(RTA_DST, to.bytes.data(), to.size());
  message.attribute(RTA_OIF, static_cast<std::uint32_t>(TRY(index_of(device))));
  if (!congestion.empty()) {
    const std::size_t metrics = message.begin(RTA_METRICS);
    message.attribute(RTAX_LOCK, std::uint32_t{1U << RTAX_CC_ALGO});
    message.attribute(RTAX_CC_ALGO, congestion);
    message.end(metrics);
  }
  return send(message, "add a route over " + device +
                           (congestion.empty() ? "" : " with congestion control " + congestion));
}

Result<> Netlink::add_veth(const std::string& near, const std::string& far, int far_namespace) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  message.attribute(IFLA_IFNAME, near);
  const std::size_t info = message.begin(IFLA_LINKINFO);
  message.attribute(IFLA_INFO_KIND, std::string("veth"));
  const std::size_t data = message.begin(IFLA_INFO_DATA);
  const std::size_t peer = message.begin(VETH_INFO_PEER);
  message.append(ifinfomsg{});
  message.attribute(IFLA_IFNAME, far);
  message.attribute(IFLA_NET_NS_FD, static_cast<std::uint32_t>(far_namespace));
  message.end(peer);
  message.end(data);
  message.end(info);
  return send(message, "add veth pair " + near + ", " + far);
}

}  // namespace netsim::emulator
