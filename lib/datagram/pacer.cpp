#include "lib/datagram/pacer.hpp"

#include <algorithm>

namespace longhaul::datagram {

void Pacer::set_rate(Time now, BytesPerSecond rate) {
  ASSERT(rate.value() > 0);
  if (rate_.value() > 0 && next_ > now) {  // the wait already earned counts at the new rate
    const ByteCount owed = rate_.bytes_in(next_ - now);
    next_ = now + rate.time_for(owed);
  }
  rate_ = rate;
}

void Pacer::on_sent(Time now, std::uint32_t bytes) {
  ASSERT(rate_.value() > 0);
  next_ = std::max(next_, now - kCatchUpMax) + rate_.time_for(ByteCount(bytes));
}

ByteCount Pacer::burst(Time now) const {
  if (now < next_) return ByteCount(0);
  const ByteCount batch =
      std::max(rate_.bytes_in(kBatch), ByteCount(std::uint64_t{kBatchPacketsMin} * packet_bytes_));
  return batch;
}

}  // namespace longhaul::datagram
