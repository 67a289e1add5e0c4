// A pool on a system that refuses threads.
#include "lib/io/work_pool.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <system_error>

namespace longhaul::io {
namespace {

// No thread can be made while one lives: no address space has room for the stack it would get.
class RefusedThreads {
 public:
  RefusedThreads() {
    ::pthread_getattr_default_np(&usual_);
    ::pthread_attr_t huge;
    ::pthread_attr_init(&huge);
    ::pthread_attr_setstacksize(&huge, std::size_t{1} << 47);
    set_ = ::pthread_setattr_default_np(&huge) == 0;
    ::pthread_attr_destroy(&huge);
  }
  ~RefusedThreads() {
    ::pthread_setattr_default_np(&usual_);
    ::pthread_attr_destroy(&usual_);
  }
  RefusedThreads(const RefusedThreads&) = delete;
  RefusedThreads& operator=(const RefusedThreads&) = delete;
  bool set() const { return set_; }

 private:
  ::pthread_attr_t usual_{};
  bool set_ = false;
};

class Tell final : public Work {
 public:
  explicit Tell(std::promise<void>& told) : told_(&told) {}
  void run() override { told_->set_value(); }

 private:
  std::promise<void>* told_;
};

TEST(WorkPool, SaysThatThreadsAreRefusedAndWorksOnceTheyAreNot) {
  {
    const RefusedThreads refused;
    ASSERT_TRUE(refused.set());
    try {
      WorkPool pool({});
      FAIL() << "a pool without a thread";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::resource_unavailable_try_again) << error.what();
    }
  }
  WorkPool pool({1, 1, 1, 1});
  for (const JobClass where :
       {JobClass::kCompute, JobClass::kDisk, JobClass::kSync, JobClass::kEncode}) {
    std::promise<void> told;
    auto done = told.get_future();
    pool.post({JobId{1}, where, std::make_unique<Tell>(told)}, [](Job) {});
    EXPECT_EQ(done.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  }
}

class TellNice final : public Work {
 public:
  explicit TellNice(std::promise<int>& told) : told_(&told) {}
  void run() override {
    told_->set_value(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())));
  }

 private:
  std::promise<int>* told_;
};

TEST(WorkPool, WhoEncodesGivesWayToTheRest) {
  const int mine = ::getpriority(PRIO_PROCESS, 0);
  WorkPool pool({1, 1, 1, 1});
  const auto nice_of = [&](JobClass where) {
    std::promise<int> told;
    auto done = told.get_future();
    pool.post({JobId{1}, where, std::make_unique<TellNice>(told)}, [](Job) {});
    return done.get();
  };
  EXPECT_EQ(nice_of(JobClass::kEncode), std::min(mine + 10, 19));
  EXPECT_EQ(nice_of(JobClass::kCompute), mine);
  EXPECT_EQ(nice_of(JobClass::kDisk), mine);
  EXPECT_EQ(nice_of(JobClass::kSync), mine);
  EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), mine);
}

}  // namespace
}  // namespace longhaul::io
