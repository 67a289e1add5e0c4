// ChildProcess: Process by fork and exec, over a socket pair, so that one descriptor is both ends
// and a dead child is an error, never a SIGPIPE. Only asio_env.cpp includes this.
#pragma once

#include <sys/types.h>

#include <memory>

#include <boost/asio/local/stream_protocol.hpp>

#include "lib/io/beneath.hpp"
#include "lib/io/process.hpp"

namespace longhaul::io {

using LocalSocket = boost::asio::basic_stream_socket<boost::asio::local::stream_protocol, Executor>;

// Children that were let go and have yet to be reaped.
class Nursery {
 public:
  ~Nursery();  // kills and reaps what is left
  void add(pid_t child) { children_.push_back(child); }
  void reap();  // those that have ended

 private:
  std::vector<pid_t> children_;
};

class ChildProcess final : public Process {
 public:
  // kNotFound when there is no such program.
  static Result<std::unique_ptr<Process>> start(Env& env, Nursery& nursery,
                                                const std::vector<std::string>& command);
  ~ChildProcess() override;
  Task<Result<Slice>> read_at_most(std::size_t bytes) override;
  Task<Result<>> write(std::vector<Slice> parts) override;
  Task<Result<>> wait_writable() override;
  void tune(const StreamTuning&) override {}
  StreamInfo info() const override { return {}; }
  Endpoint peer() const override { return {name_, 0}; }
  void close() override;
  void terminate() override;
  void finish() override;
  std::string complaint() const override;
  Task<int> exited() override;

 private:
  ChildProcess(Env& env, Nursery& nursery, LocalSocket socket, Fd errors, pid_t pid,
               std::string name);
  Env& env_;
  Nursery& nursery_;
  LocalSocket socket_;
  Fd errors_;
  pid_t pid_;  // -1 once reaped
  std::string name_;
  BufferPool pool_;
};

}  // namespace longhaul::io
