#include "trainer/engine/zero_pages.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>

namespace longhaul::trainer {
namespace {

at::Tensor zeros(std::int64_t floats, bool large) {
  const std::size_t bytes = static_cast<std::size_t>(std::max<std::int64_t>(1, floats)) * 4;
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  if (large) ::madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: small ones do as well
  return at::from_blob(
      memory, {floats}, [bytes](void* at) { ::munmap(at, bytes); }, at::kFloat);
}

}  // namespace

at::Tensor zero_pages(std::int64_t floats) {
  return zeros(floats, false);
}

at::Tensor large_pages(std::int64_t floats) {
  return zeros(floats, true);
}

void give_back(float* at, std::int64_t floats) {
  static const auto kPage = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(at);
  const auto end = begin + static_cast<std::uintptr_t>(floats) * sizeof(float);
  const std::uintptr_t first = (begin + kPage - 1) / kPage * kPage, last = end / kPage * kPage;
  const bool freed = first < last && ::madvise(reinterpret_cast<void*>(first), last - first,
                                               MADV_DONTNEED) == 0;  // reads as zeros from now on
  if (!freed) {
    std::fill_n(at, floats, 0.0F);
    return;
  }
  std::fill_n(at, (first - begin) / sizeof(float), 0.0F);
  std::fill_n(reinterpret_cast<float*>(last), (end - last) / sizeof(float), 0.0F);
}

}  // namespace longhaul::trainer
