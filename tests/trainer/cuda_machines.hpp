// Where a test runs the works of trainer/cuda: one host thread, several that share a row as a
// block's threads do, or a GPU (cuda_gpu_test.cpp). A machine owns what is put there.
#pragma once

#include <barrier>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "trainer/cuda/work.hpp"

namespace longhaul::trainer::cuda {

class HostMemory {
 public:
  template <class T>
  T* put(const std::vector<T>& values) {
    held_.push_back(std::make_unique<std::byte[]>(values.size() * sizeof(T) + 1));
    std::memcpy(held_.back().get(), values.data(), values.size() * sizeof(T));
    return reinterpret_cast<T*>(held_.back().get());
  }
  template <class T>
  std::vector<T> get(const T* at, std::size_t count) {
    return std::vector<T>(at, at + count);
  }

 private:
  std::vector<std::unique_ptr<std::byte[]>> held_;
};

class OneThread : public HostMemory {
 public:
  static std::optional<std::string> missing() { return {}; }
  template <class Work>
  void go(const Work& work) {
    run_on_host(work);
  }
};

// Five threads that race to the next meeting, as warps do: what is read after another thread's
// write, or before, without a meeting between them, comes out wrong (and TSan sees it).
class FiveThreads : public HostMemory {
 public:
  static std::optional<std::string> missing() { return {}; }
  template <class Work>
  void go(const Work& work) {
    if constexpr (requires { work.elements(); }) {
      run_on_host(work);
    } else {
      Meeting meeting;
      std::vector<std::thread> threads;
      for (int rank = 0; rank < kSize; ++rank)
        threads.emplace_back([&, rank] {
          Member member{meeting, rank};
          for (std::int64_t row = 0; row < work.rows(); ++row) work(member, row);
        });
      for (std::thread& thread : threads) thread.join();
    }
  }

 private:
  static constexpr int kSize = 5;
  struct Meeting {
    std::barrier<> all{kSize};
    float values[kSize] = {};
    std::vector<float> scratch = std::vector<float>(static_cast<std::size_t>(kScratchFloats));
  };
  class Member {
   public:
    Member(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
    int rank() const { return rank_; }
    int size() const { return kSize; }
    float sum(float value) {
      return meet(value, [](float a, float b) { return a + b; });
    }
    float most(float value) {
      return meet(value, [](float a, float b) { return a > b ? a : b; });
    }
    float* scratch() { return meeting_.scratch.data(); }

   private:
    template <class Combine>
    float meet(float value, Combine combine) {
      meeting_.values[rank_] = value;
      meeting_.all.arrive_and_wait();
      float out = meeting_.values[0];
      for (int i = 1; i < kSize; ++i) out = combine(out, meeting_.values[i]);
      meeting_.all.arrive_and_wait();  // nobody writes the next one over it
      return out;
    }
    Meeting& meeting_;
    int rank_;
  };
};

}  // namespace longhaul::trainer::cuda
