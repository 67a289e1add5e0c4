// AddressWatch: hears from the kernel (rtnetlink) that an address, link or route of this host came
// or went: the cable was pulled, the laptop woke in another network. Sessions then probe at once
// instead of waiting for silence. Lives on Env's strand.
#pragma once

#include <memory>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"
#include "lib/io/task.hpp"

namespace longhaul::io {

class AddressWatch {
 public:
  // kPermission or kUnsupported where the system does not let us listen.
  static Result<std::unique_ptr<AddressWatch>> open(const Executor& executor);
  virtual ~AddressWatch() = default;
  // Ends when something changed; what changes at the same time counts once. Fails after close().
  virtual Task<Result<>> changed() = 0;
  virtual void close() = 0;
};

}  // namespace longhaul::io
