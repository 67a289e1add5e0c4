// SiteFiles: a streamer's ROOT, seen as files on this host or on its cluster's file system, by the
// user it belongs to.
#pragma once

#include <functional>
#include <map>

#include "lib/gateway/site.hpp"
#include "lib/gateway/wish.hpp"

namespace longhaul::gateway {

class SiteFiles final : public Site {
 public:
  // A descriptor for reading, or -1 with errno. Who opens for others gives one that follows no
  // link.
  using Opener = std::function<int(const store::TreeName& name)>;

  // kNotFound, kPermission: that is no streamer's root, or another user's.
  static Result<std::unique_ptr<SiteFiles>> open(const std::string& root, Opener opener = {});

  std::string where() const override;
  Result<std::optional<store::VersionNo>> current(const store::DatasetName& dataset) override;
  Result<std::optional<Seen>> look(const store::TreeName& name) override;
  Result<Filled> read(const store::TreeName& name, std::uint64_t offset, MutableBytes out) override;
  void want(const store::DatasetName& dataset, const store::Demand& demand) override;
  void want_nothing(const store::DatasetName& dataset) override;

 private:
  SiteFiles(std::string root, Opener opener) : root_(std::move(root)), opener_(std::move(opener)) {}
  std::string path_of(const store::TreeName& name) const { return root_ + "/" + name.text(); }

  const std::string root_;
  const Opener opener_;
  std::map<std::string, Wish> wishes_;  // by dataset
};

}  // namespace longhaul::gateway
