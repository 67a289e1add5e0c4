// Env: the world as the shell sees it. asio_env.hpp is the real one; tests/sim has one on virtual
// time, so the same coroutines run in both. All calls and completions are on one strand (Env's
// executor); only the Work of a Job runs elsewhere. Streams and listeners must not outlive their
// Env.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/base/job.hpp"
#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/io/datagram_port.hpp"
#include "lib/io/endpoint.hpp"
#include "lib/io/task.hpp"

namespace longhaul::io {

// What the kernel knows of a TCP connection (tcp(7), TCP_INFO); zero where it does not say.
struct StreamInfo {
  Duration rtt{}, rtt_min{};
  BytesPerSecond delivery_rate;
  std::uint64_t bytes_acked = 0, bytes_sent = 0, bytes_retransmitted = 0;
  std::uint64_t bytes_delivered = 0;  // acknowledged, out of order as well, in full segments
  std::uint32_t unsent_bytes = 0;
  std::uint32_t cwnd_packets = 0;
  std::uint32_t segment_bytes = 0;  // the most that one carries here
  std::uint32_t send_buffer_bytes = 0, receive_buffer_bytes = 0;
  std::string congestion_control;
};

struct StreamOptions {
  Duration connect_timeout = 10s;
  std::uint32_t segment_max_bytes =
      0;  // TCP_MAXSEG, which the SYN tells the peer; zero: the system's
};

// Wishes; a system that lacks one still carries the bytes, and info() says what is.
struct StreamTuning {
  BytesPerSecond pacing;               // SO_MAX_PACING_RATE; zero: none
  std::uint32_t unsent_max_bytes = 0;  // TCP_NOTSENT_LOWAT; zero: the system's
  bool bbr = false;
};

class Stream {
 public:
  static constexpr std::size_t kReadBytes = 256U << 10;
  virtual ~Stream() = default;
  // At least one byte and at most so many; an empty Slice: the peer's FIN.
  virtual Task<Result<Slice>> read_at_most(std::size_t bytes) = 0;
  Task<Result<Slice>> read() { return read_at_most(kReadBytes); }
  virtual Task<Result<>> write(std::vector<Slice> parts) = 0;  // ends when the kernel took them all
  // Ends when the kernel holds less unsent than `unsent_max_bytes` of the last tune().
  virtual Task<Result<>> wait_writable() = 0;
  virtual void tune(const StreamTuning& tuning) = 0;
  virtual StreamInfo info() const = 0;
  virtual Endpoint peer() const = 0;
  virtual void close() = 0;   // at once, no linger; pending calls end with kLink
  virtual void finish() = 0;  // FIN after what was written
};

class Listener {
 public:
  virtual ~Listener() = default;
  // kLimit: this machine has no room for another now.
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  virtual Endpoint local() const = 0;  // with the port the system picked
  virtual void close() = 0;
};

// A time to be woken at that can be moved while somebody waits for it. One waits at a time.
class Alarm {
 public:
  virtual ~Alarm() = default;
  virtual void set(std::optional<Time> when) = 0;  // nullopt: never
  virtual Task<> ring() = 0;  // at or after the time set; the time is then unset
};

class Process;  // process.hpp: a Stream to a program that we run

class Env {
 public:
  virtual ~Env() = default;
  virtual Executor executor() = 0;
  virtual Time now() const = 0;  // monotonic, counts sleep of the machine
  virtual WallTime wall() const = 0;
  virtual Task<> sleep_until(Time when) = 0;  // throws on cancellation, like all waits here
  virtual std::unique_ptr<Alarm> alarm() = 0;
  virtual Task<Result<std::unique_ptr<Stream>>> dial(Endpoint to, StreamOptions options) = 0;
  virtual Result<std::unique_ptr<Listener>> listen(Endpoint at) = 0;
  // A UDP socket at an address of this machine; port 0: the system picks.
  virtual Result<std::unique_ptr<DatagramPort>> datagrams(
      Endpoint at, DatagramLoad load = DatagramLoad::kBulk) = 0;
  // Starts a program of the user's (found by PATH); kNotFound when there is none of that name.
  virtual Result<std::unique_ptr<Process>> run_program(std::vector<std::string> command) = 0;
  virtual Task<Job> work(Job job) = 0;         // runs on the pool, comes back to the strand
  virtual void entropy(MutableBytes out) = 0;  // fit for keys
};

}  // namespace longhaul::io
