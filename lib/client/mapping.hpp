// Mapping: a file mapped shared, locked for as long as this lives (the system drops the lock when
// the process dies, whatever killed it). A resource.
#pragma once

#include <memory>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace longhaul::client {

class Mapping {
 public:
  // A new file of `size` zero bytes, 0600; kExists if the name is taken.
  static Result<std::unique_ptr<Mapping>> create(const std::string& path, std::size_t size);
  // What is there; kBusy while its owner lives.
  static Result<std::unique_ptr<Mapping>> open(const std::string& path);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  MutableBytes bytes() const { return bytes_; }
  // Takes memory for this part now, so that nobody who writes there later waits for a page.
  void populate(MutableBytes part) const noexcept;
  void remove() noexcept;  // the name; the memory stays until the destructor

 private:
  Mapping(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Result<> map();

  int fd_;
  std::string path_;
  MutableBytes bytes_;
};

}  // namespace longhaul::client
