// Desk: answers the questions of readers at a gateway from the files of one ROOT. It knows no
// socket: bytes in, bytes out, time as an argument; it reads files. Serves what is part of a
// dataset and nothing else of the ROOT: no key, no ledger, no run.
//
//   Desk desk(make_site);
//   send(desk.answer(now, reader, question));      // every question has one answer
//   desk.forget_idle(now);                         // now and then
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "lib/base/units.hpp"
#include "lib/gateway/message.hpp"

namespace longhaul::gateway {

constexpr std::size_t kReadersMax = 256;
// A reader says at least this often that it still needs something (remote_site.hpp), and is
// forgotten with its wishes when it said nothing for so long.
constexpr Duration kReaderSays = 5s;
constexpr Duration kReaderLife = 30s;

// Whether a name is of a dataset, or of what is on its way.
bool is_served(const store::TreeName& name);

// The answer to a reader that may ask nothing.
ByteVector refusal_of(Bytes question, const Error& why);

class Desk {
 public:
  // Of a reader: its wishes are gone when it is destroyed.
  using MakeSite = std::function<Result<std::unique_ptr<Site>>()>;
  explicit Desk(MakeSite make_site) : make_site_(std::move(make_site)) {}

  ByteVector answer(Time now, const std::string& reader, Bytes question);
  void forget(const std::string& reader) { readers_.erase(reader); }
  void forget_idle(Time now);
  std::size_t readers() const { return readers_.size(); }

 private:
  struct Reader {
    std::unique_ptr<Site> site;
    Time heard{};
  };
  Result<Site*> site_of(Time now, const std::string& reader);

  const MakeSite make_site_;
  std::map<std::string, Reader> readers_;
};

}  // namespace longhaul::gateway
