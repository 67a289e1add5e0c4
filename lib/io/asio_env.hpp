// AsioEnv: the real Env: one io_context on the calling thread (the strand of everything), a
// WorkPool beside it, TCP by Boost.Asio, randomness from the kernel. run() returns when nothing is
// left to do or after stop().
#pragma once

#include <functional>
#include <memory>

#include "lib/io/env.hpp"
#include "lib/io/process.hpp"
#include "lib/io/work_pool.hpp"

namespace longhaul::io {

class AsioEnv final : public Env {
 public:
  explicit AsioEnv(WorkPool::Threads threads = {});
  ~AsioEnv() override;

  Executor executor() override;
  Time now() const override;
  WallTime wall() const override;
  Task<> sleep_until(Time when) override;
  std::unique_ptr<Alarm> alarm() override;
  Task<Result<std::unique_ptr<Stream>>> dial(Endpoint to, StreamOptions options) override;
  Result<std::unique_ptr<Listener>> listen(Endpoint at) override;
  Result<std::unique_ptr<DatagramPort>> datagrams(Endpoint at,
                                                  DatagramLoad load = DatagramLoad::kBulk) override;
  Result<std::unique_ptr<Process>> run_program(std::vector<std::string> command) override;
  // This process's own stdin and stdout; once.
  Result<std::unique_ptr<Stream>> stdio();
  Task<Job> work(Job job) override;
  void entropy(MutableBytes out) override;

  // Runs the task to its end on this thread, with SIGINT and SIGTERM turned into
  // `on_signal(number)`; the second of the same kind ends the program by its default action.
  // Rethrows the task's failure.
  void run(Task<> main, std::function<void(int)> on_signal);

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace longhaul::io
