// TunPort: a TUN device with VNET_HDR and segmentation offload, in the network namespace of the
// thread that opens it. The device lives as long as this object; it goes with the process.
#pragma once

#include <memory>
#include <string>

#include "netsim/emulator/port.hpp"
#include "netsim/handle.hpp"

namespace netsim::emulator {

class TunPort final : public Port {
 public:
  // kPermission or kNotFound say why there is no TUN here. `offload` false: every segment is read
  // and written alone.
  static Result<std::unique_ptr<TunPort>> open(const std::string& device, bool offload);

  int fd() const override { return fd_.get(); }
  Result<std::optional<std::size_t>> read(MutableBytes out) override;
  Written write(const VirtioHeader& offload, Bytes header, Bytes payload) override;
  Written write_framed(Bytes framed) override;
  std::uint64_t dropped() override;
  bool takes_udp_trains() const override { return udp_trains_; }

 private:
  TunPort(Fd fd, Fd statistics, std::string device, bool udp_trains)
      : fd_(std::move(fd)),
        statistics_(std::move(statistics)),
        device_(std::move(device)),
        udp_trains_(udp_trains) {}
  Fd fd_, statistics_;  // the latter: net/dev of the device's namespace
  std::string device_;
  bool udp_trains_;
};

}  // namespace netsim::emulator
