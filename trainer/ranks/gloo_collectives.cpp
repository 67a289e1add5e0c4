// Raw Gloo, over TCP: c10d's ProcessGroupGloo would need Torch's distributed headers (a minute a
// file), which pip's LibTorch ships without the Gloo headers they include; this needs libgloo
// alone.
#include "trainer/ranks/collectives.hpp"

#ifdef LONGHAUL_HAS_GLOO
#include <gloo/allgatherv.h>
#include <gloo/allreduce.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/transport/tcp/device.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

// What Gloo's rendezvous writes for the other ranks and reads of them: "rank_3", the name of rank
// 3's host, read by those after it; and "3", where rank 3 listens, read by all.
class ExchangedStore final : public gloo::rendezvous::Store {
 public:
  ExchangedStore(const Membership& membership, std::vector<std::string> hosts)
      : membership_(membership), hosts_(std::move(hosts)) {}
  void set(const std::string& key, const std::vector<char>& data) override {
    if (key == std::to_string(membership_.rank)) address_.assign(data.begin(), data.end());
  }
  std::vector<char> get(const std::string& key) override {
    constexpr std::string_view kHost = "rank_";
    const bool host = key.starts_with(kHost);
    if (!host) wait({key});
    for (std::size_t rank = 0; rank < hosts_.size(); ++rank) {
      if (key != (host ? std::string(kHost) : "") + std::to_string(rank)) continue;
      const std::string& value = host ? hosts_[rank] : addresses_.at(rank);
      return {value.begin(), value.end()};
    }
    throw std::runtime_error("no rank says " + key);
  }
  void wait(const std::vector<std::string>&) override {
    if (!addresses_.empty()) return;
    auto all = membership_.exchange(address_);
    if (!all) {
      refused_ = all.error();
      throw std::runtime_error(refused_->message());
    }
    addresses_ = *std::move(all);
  }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds&) override {
    wait(keys);
  }
  // Why the ranks could not exchange what Gloo asks for: of that it would know no more than a text.
  const std::optional<Error>& refused() const { return refused_; }

 private:
  const Membership& membership_;
  std::vector<std::string> hosts_, addresses_;
  std::string address_;
  std::optional<Error> refused_;
};

tl::unexpected<Error> ended(Kind kind, std::string why) {
  return fail(Error(kind, "sum over the ranks", std::move(why))
                  .advise("start the run again with --resume auto"));
}

template <class Call>
Result<> guarded(Call&& call) {
  try {
    call();
    return {};
  } catch (const gloo::IoException& error) {
    const std::string why = error.what();
    const bool late = why.find("imed out") != std::string::npos;
    if (late) return ended(Kind::kTimeout, "a rank does not come");
    return ended(Kind::kLink, printable(why, 200));
  } catch (const std::exception& error) {
    return ended(Kind::kLink, printable(error.what(), 200));
  }
}

class GlooCollectives final : public Collectives {
 public:
  explicit GlooCollectives(std::shared_ptr<gloo::rendezvous::Context> context)
      : context_(std::move(context)) {}

  Result<> sum(std::span<float> values) override { return sum_of(values); }
  Result<> sum(std::span<double> values) override { return sum_of(values); }
  Result<> gather(std::span<float> all, std::span<const std::size_t> counts) override {
    return of_all([&] {
      gloo::AllgathervOptions options(context_);
      options.setOutput(all.data(), std::vector<std::size_t>(counts.begin(), counts.end()));
      gloo::allgatherv(options);
    });
  }

 private:
  // Of three ranks that lose the third, one may wait for the other's numbers alone, which is out of
  // the sum already and waits to be told who died. So whoever is out ends it for all.
  template <class Call>
  Result<> of_all(Call&& call) {
    Result<> done = guarded(call);
    if (!done) static_cast<void>(guarded([this] { context_->closeConnections(); }));
    return done;
  }
  template <class Number>
  Result<> sum_of(std::span<Number> values) {
    if (values.empty()) return {};
    return of_all([&] {
      gloo::AllreduceOptions options(context_);
      options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
      options.setOutput(values.data(), values.size());
      options.setReduceFunction(
          static_cast<void (*)(void*, const void*, const void*, std::size_t)>(gloo::sum<Number>));
      gloo::allreduce(options);
    });
  }

  std::shared_ptr<gloo::rendezvous::Context> context_;
};

}  // namespace

Result<std::unique_ptr<Collectives>> gloo_collectives(const Membership& membership) {
  std::vector<std::string> hosts = TRY(membership.exchange(host_name()));
  std::shared_ptr<gloo::rendezvous::Context> context;
  ExchangedStore store(membership, std::move(hosts));
  Result<> connected = guarded([&] {
    gloo::transport::tcp::attr where(membership.address.c_str());
    if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME"); interface != nullptr) {
      where = gloo::transport::tcp::attr();
      where.iface = interface;
    }
    auto device = gloo::transport::tcp::CreateDevice(where);
    context = std::make_shared<gloo::rendezvous::Context>(static_cast<int>(membership.rank),
                                                          static_cast<int>(membership.ranks));
    // All ranks have just met: who does not connect now has died since, and nothing else would end
    // this wait.
    const auto patient = [&](Duration most) {
      context->setTimeout(std::chrono::duration_cast<std::chrono::milliseconds>(most));
    };
    patient(std::min<Duration>(membership.patience, std::chrono::seconds(60)));
    context->connectFullMesh(store, device);
    patient(membership.patience);
  });
  if (store.refused()) return fail(*store.refused());
  TRY(std::move(connected));
  return std::unique_ptr<Collectives>(new GlooCollectives(std::move(context)));
}

}  // namespace longhaul::trainer
#else
namespace longhaul::trainer {

Result<std::unique_ptr<Collectives>> gloo_collectives(const Membership&) {
  return fail(Error(Kind::kUnsupported, "train with several ranks", "this build has no Gloo")
                  .advise("install libgloo-dev (tools/setup --trainer) and build again"));
}

}  // namespace longhaul::trainer
#endif
