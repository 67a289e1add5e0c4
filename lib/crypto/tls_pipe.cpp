#include "lib/crypto/tls_pipe.hpp"

#include <openssl/err.h>

#include <algorithm>

namespace longhaul::crypto {
namespace {

// Handshakes, acknowledgements and pings fit the small one; a full record brings the large one,
// which holds seven.
constexpr std::size_t kSmallBytes = 2048;
constexpr std::size_t kLargeBytes = 128 << 10;

// The first of what is left in a queue, taken out.
Slice pop(std::vector<Slice>& queue, std::size_t& head) {
  Slice first = std::move(queue[head++]);
  if (head == queue.size()) {
    queue.clear();
    head = 0;
  }
  return first;
}

}  // namespace

BioMethodPtr TlsPipe::make_method() {
  BioMethodPtr method(
      made(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "longhaul pipe")));
  BIO_meth_set_write_ex(method.get(), on_write);
  BIO_meth_set_read_ex(method.get(), on_read);
  BIO_meth_set_ctrl(method.get(), on_control);
  return method;
}

BIO* TlsPipe::make_bio(const BIO_METHOD* method) {
  BIO* bio = made(BIO_new(method));
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

int TlsPipe::on_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  try {
    static_cast<TlsPipe*>(BIO_get_data(bio))->write(bytes_of({data, size}));
  } catch (const std::bad_alloc&) {  // nothing is thrown through a C library
    ERR_raise(ERR_LIB_BIO, ERR_R_MALLOC_FAILURE);
    return 0;
  }
  *written = size;
  return 1;
}

int TlsPipe::on_read(BIO* bio, char* data, std::size_t size, std::size_t* got) {
  BIO_clear_retry_flags(bio);
  auto* pipe = static_cast<TlsPipe*>(BIO_get_data(bio));
  *got = pipe->read(std::as_writable_bytes(std::span(data, size)));
  if (*got > 0) return 1;
  BIO_set_retry_read(bio);
  return 0;
}

long TlsPipe::on_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

void TlsPipe::write(Bytes bytes) {
  if (bytes.size() > filling_.bytes().size() - filled_) {
    if (filled_ > 0) out_.push_back(std::move(filling_).freeze(std::exchange(filled_, 0)));
    const std::size_t usual = bytes.size() > kSmallBytes ? kLargeBytes : kSmallBytes;
    filling_ = pool_.take(std::max(usual, bytes.size()));
  }
  std::memcpy(filling_.bytes().data() + filled_, bytes.data(), bytes.size());
  filled_ += bytes.size();
}

Slice TlsPipe::pop_out() {
  if (out_head_ < out_.size()) return pop(out_, out_head_);
  if (filled_ == 0) return {};
  return std::move(filling_).freeze(std::exchange(filled_, 0));
}

void TlsPipe::push_in(Slice in) {
  if (!in.empty()) in_.push_back(std::move(in));
}

void TlsPipe::drop_in() {
  in_.clear();
  in_head_ = 0;
}

std::size_t TlsPipe::read(MutableBytes out) {
  std::size_t got = 0;
  while (got < out.size() && in_head_ < in_.size()) {
    Slice& first = in_[in_head_];
    const std::size_t size = std::min(first.size(), out.size() - got);
    std::memcpy(out.data() + got, first.data(), size);
    got += size;
    if (size == first.size()) {
      pop(in_, in_head_);
    } else {
      first = first.from(size);
    }
  }
  return got;
}

}  // namespace longhaul::crypto
