// Callback: a function called once or more, owned by one place and movable only, so that it may
// hold unique_ptrs and coroutine handlers. Small ones (56 bytes) live inside it.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "lib/base/assert.hpp"

namespace netsim {

class Callback {
 public:
  Callback() = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, Callback> && std::is_invocable_v<F&>)
      Callback(F&& function) {  // NOLINT: a callable converts, as into std::function
    using Held = std::remove_cvref_t<F>;
    if constexpr (kFits<Held>) {
      ::new (static_cast<void*>(room_)) Held(std::forward<F>(function));
      actions_ = &kInside<Held>;
    } else {
      ::new (static_cast<void*>(room_)) Outside<Held>(new Held(std::forward<F>(function)));
      actions_ = &kInside<Outside<Held>>;
    }
  }
  Callback(Callback&& other) noexcept { steal(other); }
  Callback& operator=(Callback&& other) noexcept {
    if (this != &other) {
      reset();
      steal(other);
    }
    return *this;
  }
  ~Callback() { reset(); }

  explicit operator bool() const { return actions_ != nullptr; }
  void operator()() {
    ASSERT(actions_ != nullptr);
    actions_->call(room_);
  }
  void reset() {
    if (actions_ != nullptr) actions_->destroy(room_);
    actions_ = nullptr;
  }

 private:
  static constexpr std::size_t kRoom = 56;
  template <class F>
  static constexpr bool kFits =
      sizeof(F) <= kRoom &&
      alignof(F) <= alignof(std::max_align_t) && std::is_nothrow_move_constructible_v<F>;
  template <class F>
  class Outside {
   public:
    explicit Outside(F* function) : function_(function) {}
    void operator()() { (*function_)(); }

   private:
    std::unique_ptr<F> function_;
  };
  struct Actions {
    void (*call)(std::byte*);
    void (*move)(std::byte* from, std::byte* to) noexcept;
    void (*destroy)(std::byte*) noexcept;
  };
  template <class F>
  static F& held(std::byte* room) {
    return *std::launder(reinterpret_cast<F*>(room));
  }
  template <class F>
  static constexpr Actions kInside = {[](std::byte* room) { held<F>(room)(); },
                                      [](std::byte* from, std::byte* to) noexcept {
                                        ::new (static_cast<void*>(to)) F(std::move(held<F>(from)));
                                        held<F>(from).~F();
                                      },
                                      [](std::byte* room) noexcept { held<F>(room).~F(); }};

  void steal(Callback& other) noexcept {
    if (other.actions_ == nullptr) return;
    other.actions_->move(other.room_, room_);
    actions_ = std::exchange(other.actions_, nullptr);
  }
  alignas(std::max_align_t) std::byte room_[kRoom];
  const Actions* actions_ = nullptr;
};

}  // namespace netsim
