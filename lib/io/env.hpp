// Env: the world as the shell sees it. asio_env.hpp is the real one; tests/sim has one on virtual
// time, so the same coroutines run in both. All calls and completions are on one strand (Env's
// executor); only the Work of a Job runs elsewhere. Streams and listeners must not outlive their
// Env.
#pragma once

#include <memory>
#include <optional>

#include "lib/base/job.hpp"
#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/io/endpoint.hpp"
#include "lib/io/task.hpp"

namespace longhaul::io {

// What the kernel knows of a TCP connection (tcp(7), TCP_INFO); zero where it does not say.
struct StreamInfo {
  Duration rtt{}, rtt_min{};
  BytesPerSecond delivery_rate;
  std::uint64_t bytes_acked = 0, bytes_sent = 0, bytes_retransmitted = 0;
  std::uint32_t unsent_bytes = 0;
  std::uint32_t cwnd_packets = 0;
  std::uint32_t send_buffer_bytes = 0, receive_buffer_bytes = 0;
  std::string congestion_control;
};

struct StreamOptions {
  bool bbr = true;                     // ask for it; a refusal is no error (see StreamInfo)
  std::uint32_t unsent_bytes_max = 0;  // TCP_NOTSENT_LOWAT; 0 leaves the system's
  Duration connect_timeout = 10s;
};

class Stream {
 public:
  virtual ~Stream() = default;
  virtual Task<Result<Slice>> read() = 0;  // at least one byte; an empty Slice: the peer's FIN
  virtual Task<Result<>> write(Slice bytes) = 0;  // ends when the kernel has taken all of it
  virtual void set_unsent_max(std::uint32_t bytes) = 0;
  virtual void set_pacing(BytesPerSecond rate) = 0;  // SO_MAX_PACING_RATE; 0 lifts it
  virtual StreamInfo info() const = 0;
  virtual Endpoint peer() const = 0;
  virtual void close() = 0;   // at once, no linger; pending calls end with kLink
  virtual void finish() = 0;  // FIN after what was written
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  virtual Endpoint local() const = 0;  // with the port the system picked
  virtual void close() = 0;
};

class Env {
 public:
  virtual ~Env() = default;
  virtual Executor executor() = 0;
  virtual Time now() const = 0;  // monotonic, counts sleep of the machine
  virtual WallTime wall() const = 0;
  virtual Task<> sleep_until(Time when) = 0;  // throws on cancellation, like all waits here
  virtual Task<Result<std::unique_ptr<Stream>>> dial(Endpoint to, StreamOptions options) = 0;
  virtual Result<std::unique_ptr<Listener>> listen(Endpoint at, StreamOptions options) = 0;
  virtual Task<Job> work(Job job) = 0;         // runs on the pool, comes back to the strand
  virtual void entropy(MutableBytes out) = 0;  // fit for keys
};

}  // namespace longhaul::io
