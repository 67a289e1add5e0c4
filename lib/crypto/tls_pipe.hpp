// TlsPipe: where an SSL object reads and writes instead of a socket. What comes in is kept as the
// slices it came in, without a copy; what goes out is gathered in pooled buffers that several
// records share. For tls_engine.cpp.
#pragma once

#include <vector>

#include "lib/base/slice.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace longhaul::crypto {

class TlsPipe {
 public:
  explicit TlsPipe(BufferPool& pool) : pool_(pool) {}
  TlsPipe(const TlsPipe&) = delete;
  TlsPipe& operator=(const TlsPipe&) = delete;

  static BioMethodPtr make_method();
  BIO* make_bio(const BIO_METHOD* method);  // for one SSL object, which must die before this does

  void push_in(Slice in);
  void drop_in();
  Slice pop_out();  // empty: nothing

 private:
  static int on_write(BIO* bio, const char* data, std::size_t size, std::size_t* written);
  static int on_read(BIO* bio, char* data, std::size_t size, std::size_t* got);
  static long on_control(BIO* bio, int command, long number, void* pointer);
  void write(Bytes bytes);
  std::size_t read(MutableBytes out);

  BufferPool& pool_;
  // Both are queues: [head, end) is what is left; cleared, keeping their room, when empty.
  std::vector<Slice> in_, out_;
  std::size_t in_head_ = 0, out_head_ = 0;
  Buffer filling_;
  std::size_t filled_ = 0;
};

}  // namespace longhaul::crypto
