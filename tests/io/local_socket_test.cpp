#include "lib/io/local_socket.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/io/asio_env.hpp"
#include "lib/io/task_group.hpp"

namespace longhaul::io {
namespace {

class LocalSocket : public ::testing::Test {
 protected:
  LocalSocket() {
    char name[] = "/tmp/local-socket-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/s";
  }
  ~LocalSocket() override {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  Kind kind_of_dial(const std::string& path) {
    Kind kind = Kind::kIo;
    env_.run(dial(env_, path, kind), {});
    return kind;
  }
  static Task<> dial(Env& env, std::string path, Kind& kind) {
    const auto dialed = co_await dial_local(env.executor(), path);
    EXPECT_FALSE(dialed.has_value());
    kind = dialed.error().kind();
  }
  static Task<> echo(Listener& listener) {
    auto accepted = co_await listener.accept();
    const auto stream = *std::move(accepted);
    const Result<Slice> in = co_await stream->read();
    std::vector<Slice> parts{*in};
    const Result<> sent = co_await stream->write(std::move(parts));
    EXPECT_TRUE(sent.has_value());
  }
  static Task<> talk(Env& env, std::string path, std::string& heard) {
    const auto listener = listen_local(env.executor(), path);
    struct ::stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    TaskGroup group(env.executor());
    group.spawn(echo(**listener));
    auto dialed = co_await dial_local(env.executor(), path);
    const auto stream = *std::move(dialed);
    std::vector<Slice> parts{Slice::copy_of("hello")};
    const Result<> sent = co_await stream->write(std::move(parts));
    EXPECT_TRUE(sent.has_value());
    const Result<Slice> back = co_await stream->read();
    heard = text_of(back->bytes());
    co_await group.join();
  }
  AsioEnv env_;
  std::string folder_, path_;
};

TEST_F(LocalSocket, IsForThisUserAloneAndGoneWithItsListener) {
  std::string heard;
  env_.run(talk(env_, path_, heard), {});
  EXPECT_EQ(heard, "hello");
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(LocalSocket, SaysWhenNobodyListens) {
  EXPECT_EQ(kind_of_dial(path_), Kind::kNotFound);
  EXPECT_EQ(kind_of_dial("/tmp/" + std::string(200, 'x')), Kind::kUsage);
}

Task<> listen_again(Env& env, std::string path, bool& listened) {
  const auto listener = listen_local(env.executor(), path);
  listened = listener.has_value();
  co_return;
}

TEST_F(LocalSocket, TakesTheNameOfOneThatWasKilled) {
  const int left = ::open(path_.c_str(), O_CREAT | O_WRONLY, 0600);
  ::close(left);
  EXPECT_EQ(kind_of_dial(path_), Kind::kNotFound);
  bool listened = false;
  env_.run(listen_again(env_, path_, listened), {});
  EXPECT_TRUE(listened);
}

}  // namespace
}  // namespace longhaul::io
