// RemoteSite: a streamer's ROOT through its gateway, over ZeroMQ, for a training program on a host
// that does not see the ROOT. One question at a time, answered within kAnswerPatience or kTimeout.
// After that the gateway is away: questions are kTimeout at once, without a wait, until it is found
// again, seconds after it is back. kAuth: the pass is not taken. One thread; libzmq keeps one of
// its own beside it.
#pragma once

#include <memory>
#include <string>

#include "lib/gateway/message.hpp"
#include "lib/gateway/pass.hpp"
#include "lib/gateway/site.hpp"

namespace longhaul::gateway {

constexpr Duration kAnswerPatience = 2s;

class RemoteSite final : public Site {
 public:
  // Of the file that holds a pass. Reaches for the gateway and does not wait for it.
  static Result<std::unique_ptr<RemoteSite>> open(const std::string& pass_file);
  ~RemoteSite() override;

  std::string where() const override;
  Result<std::optional<store::VersionNo>> current(const store::DatasetName& dataset) override;
  Result<std::optional<Seen>> look(const store::TreeName& name) override;
  Result<Filled> read(const store::TreeName& name, std::uint64_t offset, MutableBytes out) override;
  void want(const store::DatasetName& dataset, const store::Demand& demand) override;
  void want_nothing(const store::DatasetName& dataset) override;

 private:
  struct Link;
  explicit RemoteSite(std::unique_ptr<Link> link);
  template <class Reply>
  Result<Reply> ask(decltype(Question::what) what);
  std::string attempt() const;
  tl::unexpected<Error> refused();
  Result<> find_again(Bytes question);
  Result<Answer> exchange(const Question& question);

  std::unique_ptr<Link> link_;
  std::uint64_t number_ = 0;
};

}  // namespace longhaul::gateway
