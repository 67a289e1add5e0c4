#include "lib/io/asio_env.hpp"

#include <sys/random.h>
#include <time.h>

#include <cerrno>
#include <csignal>
#include <exception>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "lib/io/child_process.hpp"
#include "lib/io/stdio_stream.hpp"
#include "lib/io/tcp_stream.hpp"
#include "lib/io/udp_port.hpp"

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

using tcp = asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Resolver = asio::ip::basic_resolver<tcp, Executor>;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});
using SteadyTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>;
constexpr int kBacklog = 1024;
// Waits go in steps: the timer's clock stands still while the machine sleeps, now() does not.
constexpr Duration kSleepStep = 1s;

// CLOCK_BOOTTIME goes on while the machine sleeps, so that a deadline passed during sleep is seen
// at once.
std::int64_t boot_ns() {
  ::timespec spec{};
  ::clock_gettime(CLOCK_BOOTTIME, &spec);
  return std::int64_t{spec.tv_sec} * 1'000'000'000 + spec.tv_nsec;
}

class TcpListener final : public Listener {
 public:
  explicit TcpListener(Acceptor acceptor) : acceptor_(std::move(acceptor)) {}
  Task<Result<std::unique_ptr<Stream>>> accept() override {
    auto [status, socket] = co_await acceptor_.async_accept(kAwait);
    if (status) {
      const bool full = status.value() == EMFILE || status.value() == ENFILE ||
                        status.value() == ENOBUFS || status.value() == ENOMEM;
      co_return fail(full ? Kind::kLimit : Kind::kLink, "accept a connection", status.message());
    }
    std::unique_ptr<Stream> stream = std::make_unique<TcpStream>(std::move(socket));
    co_return stream;
  }
  Endpoint local() const override {
    boost::system::error_code ignored;
    const auto at = acceptor_.local_endpoint(ignored);
    return {at.address().to_string(), at.port()};
  }
  void close() override {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  Acceptor acceptor_;
};

class AsioAlarm final : public Alarm {
 public:
  AsioAlarm(const Env& env, Executor executor) : env_(env), timer_(std::move(executor)) {}
  void set(std::optional<Time> when) override {
    if (when == when_) return;
    when_ = when;
    // Every batch of a receiver moves its deadline a little further: a timer that rings too early
    // then looks again, which is cheaper than a timerfd_settime() for each (a third of its time).
    if (waits_until_ && when && *when >= *waits_until_) return;
    moved_ = true;
    timer_.cancel();
  }
  Task<> ring() override {
    for (;;) {
      moved_ = false;
      const Duration left = when_ ? *when_ - env_.now() : kSleepStep;
      if (when_ && left.count() <= 0) {
        // By way of the event loop: a deadline that is always past must not keep it from its work.
        const asio::use_awaitable_t<Executor> as_task;
        co_await asio::post(timer_.get_executor(), as_task);
        break;
      }
      const Duration step = std::min(left, kSleepStep);
      waits_until_ = env_.now() + step;
      timer_.expires_after(step);
      const auto [status] = co_await timer_.async_wait(kAwait);
      waits_until_.reset();
      if (status && !moved_) throw boost::system::system_error(status);
    }
    when_.reset();
  }

 private:
  const Env& env_;
  SteadyTimer timer_;
  std::optional<Time> when_, waits_until_;
  bool moved_ = false;
};

}  // namespace

struct AsioEnv::Inside {
  explicit Inside(WorkPool::Threads threads) : pool(threads) {}
  asio::io_context context{1};
  Nursery children;
  WorkPool pool;
};

AsioEnv::AsioEnv(WorkPool::Threads threads) : inside_(std::make_unique<Inside>(threads)) {}
AsioEnv::~AsioEnv() = default;

Executor AsioEnv::executor() {
  return inside_->context.get_executor();
}
Time AsioEnv::now() const {
  return Time(Duration(boot_ns()));
}

WallTime AsioEnv::wall() const {
  ::timespec spec{};
  ::clock_gettime(CLOCK_REALTIME, &spec);
  return {std::int64_t{spec.tv_sec} * 1'000'000'000 + spec.tv_nsec};
}

Task<> AsioEnv::sleep_until(Time when) {
  const asio::use_awaitable_t<Executor> as_task;
  for (Duration left = when - now(); left.count() > 0; left = when - now()) {
    SteadyTimer timer(executor());
    timer.expires_after(std::min(left, kSleepStep));
    co_await timer.async_wait(as_task);
  }
}

std::unique_ptr<Alarm> AsioEnv::alarm() {
  return std::make_unique<AsioAlarm>(*this, executor());
}

Task<Result<std::unique_ptr<Stream>>> AsioEnv::dial(Endpoint to, StreamOptions options) {
  using namespace asio::experimental::awaitable_operators;
  const std::string attempt = "connect to " + to_text(to);
  Resolver resolver(executor());
  const std::string port = std::to_string(to.port);
  auto [resolve_status, found] = co_await resolver.async_resolve(to.host, port, kAwait);
  if (resolve_status) co_return fail(Kind::kLink, attempt, resolve_status.message());
  Error last(Kind::kLink, attempt, "the name has no address");
  const Time deadline = now() + options.connect_timeout;
  for (const auto& candidate : found) {
    TcpSocket socket(executor());
    const tcp::endpoint target = candidate.endpoint();
    if (options.segment_max_bytes > 0) {
      boost::system::error_code ignored;  // one that stays closed is opened by async_connect
      socket.open(target.protocol(), ignored);
      limit_segments(socket.native_handle(), options.segment_max_bytes);
    }
    SteadyTimer timer(executor());
    timer.expires_after(std::max(deadline - now(), Duration(0)));
    auto race = socket.async_connect(target, kAwait) || timer.async_wait(kAwait);
    const auto ended = co_await std::move(race);
    if (ended.index() == 1) co_return fail(Kind::kTimeout, attempt, "no answer");
    const auto status = std::get<0>(std::get<0>(ended));
    if (!status) {
      std::unique_ptr<Stream> stream = std::make_unique<TcpStream>(std::move(socket));
      co_return stream;
    }
    last = Error(Kind::kLink, attempt, status.message());
  }
  co_return fail(std::move(last));
}

Result<std::unique_ptr<Listener>> AsioEnv::listen(Endpoint at) {
  const std::string attempt = "listen on " + to_text(at);
  boost::system::error_code status;
  const auto address = asio::ip::make_address(at.host, status);
  if (status) {
    return fail(Error(Kind::kUsage, attempt, "the host must be an address of this machine")
                    .advise("0.0.0.0 listens on all of its addresses"));
  }
  const tcp::endpoint local(address, at.port);
  Acceptor acceptor(executor());
  acceptor.open(local.protocol(), status);
  if (!status) acceptor.set_option(Acceptor::reuse_address(true), status);
  if (!status) acceptor.bind(local, status);
  if (!status) acceptor.listen(kBacklog, status);
  if (status == asio::error::address_in_use) {
    return fail(Error(Kind::kBusy, attempt, "another program has that port")
                    .advise("choose another port, or 0 for any that is free"));
  }
  if (status.value() == EADDRNOTAVAIL) {
    return fail(Error(Kind::kUsage, attempt, "this machine has no such address")
                    .advise("0.0.0.0 listens on all of its addresses"));
  }
  if (status) {
    const int os = status.value();
    return fail(Error::kind_of_errno(os), attempt, os);
  }
  return std::unique_ptr<Listener>(std::make_unique<TcpListener>(std::move(acceptor)));
}

Result<std::unique_ptr<DatagramPort>> AsioEnv::datagrams(Endpoint at, DatagramLoad load) {
  return UdpPort::open(executor(), at, load);
}

Result<std::unique_ptr<Process>> AsioEnv::run_program(std::vector<std::string> command) {
  return ChildProcess::start(*this, inside_->children, command);
}

Result<std::unique_ptr<Stream>> AsioEnv::stdio() {
  return StdioStream::open(executor());
}

Task<Job> AsioEnv::work(Job job) {
  using Handler = asio::any_completion_handler<void(std::shared_ptr<Job>)>;
  auto start = [this, &job](auto raw) {
    // Tracked: the context must not run dry while a job is out.
    auto home = asio::prefer(executor(), asio::execution::outstanding_work.tracked);
    auto handler = std::make_shared<Handler>(std::move(raw));
    auto done = [home, handler](Job finished) {
      auto carried = std::make_shared<Job>(std::move(finished));
      auto give = [handler, carried] { std::move (*handler)(carried); };
      asio::post(home, std::move(give));
    };
    inside_->pool.post(std::move(job), std::move(done));
  };
  const auto finished =
      co_await asio::async_initiate<const asio::use_awaitable_t<Executor>,
                                    void(std::shared_ptr<Job>)>(start, asio::use_awaitable);
  co_return std::move(*finished);
}

void AsioEnv::entropy(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t count = ::getrandom(out.data(), out.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    ASSERT(count > 0);  // the kernel has no randomness: nothing secure can follow
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

void AsioEnv::run(Task<> main, std::function<void(int)> on_signal) {
  asio::signal_set signals(inside_->context, SIGINT, SIGTERM);
  std::function<void(boost::system::error_code, int)> took;
  took = [&](boost::system::error_code status, int number) {
    if (status) return;
    if (on_signal) on_signal(number);
    signals.clear(status);  // the next one has its default action
    std::signal(number, SIG_DFL);
  };
  signals.async_wait(took);
  std::exception_ptr failure;
  auto done = [&](std::exception_ptr thrown) {
    failure = std::move(thrown);
    signals.cancel();
  };
  asio::co_spawn(executor(), std::move(main), done);
  inside_->context.restart();
  inside_->context.run();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace longhaul::io
