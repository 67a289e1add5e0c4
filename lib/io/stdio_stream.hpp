// StdioStream: this process's own standard input and output as a Stream; one for a process. Both
// must be pipes, sockets or terminals. Only asio_env.cpp includes this.
#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "lib/io/env.hpp"

namespace longhaul::io {

class StdioStream final : public Stream {
 public:
  static Result<std::unique_ptr<Stream>> open(Executor executor);
  Task<Result<Slice>> read_at_most(std::size_t bytes) override;
  Task<Result<>> write(std::vector<Slice> parts) override;
  Task<Result<>> wait_writable() override;
  void tune(const StreamTuning&) override {}
  StreamInfo info() const override { return {}; }
  Endpoint peer() const override { return {"stdio", 0}; }
  void close() override;
  void finish() override;

 private:
  using Descriptor = boost::asio::posix::basic_stream_descriptor<Executor>;
  StdioStream(Descriptor in, Descriptor out);
  Descriptor in_, out_;
  BufferPool pool_;
};

}  // namespace longhaul::io
