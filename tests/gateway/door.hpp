// A gateway to a folder, with passes in memory and one of them in a file, for tests.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "lib/gateway/server.hpp"
#include "lib/gateway/site_files.hpp"

namespace longhaul::gateway {

struct PassList {
  std::mutex mutex;
  std::vector<Pass> passes;
};

class PassesOf final : public Passes {
 public:
  explicit PassesOf(PassList& list) : list_(list) {}
  std::vector<Pass> read() override {
    const std::scoped_lock lock(list_.mutex);
    return list_.passes;
  }

 private:
  PassList& list_;
};

class Door {
 public:
  // `at`: an endpoint, or empty: ipc:// in a folder of its own.
  explicit Door(std::string root, std::string at = "")
      : root_(std::move(root)), at_(std::move(at)) {
    std::string pattern = testing::TempDir() + "door-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    if (at_.empty()) at_ = "ipc://" + folder_ + "/socket";
    keys_ = make_keys(*linked_zmq()).value();
    open();
    pass_ = new_pass("first");
    allow({pass_});
  }
  ~Door() {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  void open() {
    ServerOptions options;
    options.at = at_;
    options.keys = keys_;
    options.passes = std::make_unique<PassesOf>(list_);
    options.make_site = [root = root_]() -> Result<std::unique_ptr<Site>> {
      return TRY(SiteFiles::open(root));
    };
    options.now = [this] { return server_clock() + skipped_.load(); };
    server_ = GatewayServer::start(*linked_zmq(), std::move(options)).value();
    at_ = server_->at();
  }
  void close() { server_.reset(); }
  void skip(Duration time) { skipped_ = skipped_.load() + time; }  // of the server's clock

  Pass new_pass(const std::string& run) const {
    const KeyPair keys = make_keys(*linked_zmq()).value();
    return {run, at_, keys_.open, keys.open, keys.secret};
  }
  const Pass& pass() const { return pass_; }
  const KeyPair& keys() const { return keys_; }
  void allow(std::vector<Pass> passes) {
    const std::scoped_lock lock(list_.mutex);
    list_.passes = std::move(passes);
  }
  std::string file_of(const Pass& pass) const {
    const std::string path = folder_ + "/" + pass.run + ".pass";
    std::ofstream(path) << to_text(pass);
    return path;
  }
  std::string file() const { return file_of(pass_); }

 private:
  const std::string root_;
  std::string folder_, at_;
  KeyPair keys_;
  PassList list_;
  Pass pass_;
  std::atomic<Duration> skipped_ = Duration(0);
  std::unique_ptr<GatewayServer> server_;
};

}  // namespace longhaul::gateway
