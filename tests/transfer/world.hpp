// World of the transfer tests: two machines with disks in memory, an exchange on each, a session
// double between them. Verbs build trees, start transfers, kill processes and compare what is on
// the disks.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/transfer/exchange.hpp"
#include "lib/transfer/folder_sink.hpp"
#include "lib/transfer/site_host.hpp"
#include "tests/sim/crash_files.hpp"
#include "tests/transfer/session_double.hpp"

namespace longhaul::test {

using End = SessionDouble::End;
using transfer::Exchange;
using transfer::Finished;
using wire::TransferId;

// What stands on a disk: type, mode, time, content or target; hard links by the first name of the
// file.
std::map<std::string, std::string> snapshot(store::Files& files, const store::TreeName& top);

void put_file(store::Files& files, const std::string& name, Bytes content,
              std::uint32_t mode = 0644);
ByteVector random_bytes(Rng& rng, std::size_t size);  // does not compress
ByteVector text_bytes(Rng& rng, std::size_t size);    // compresses
// A tree with folders, empty and small files, files of several chunks, repeats, holes, links.
void put_random_tree(store::Files& files, const std::string& top, Rng& rng, std::uint64_t bytes);

// Rows of a folder; hash: as if the scan cache knew all of it.
std::shared_ptr<transfer::Source> source_of(std::shared_ptr<store::Files> files,
                                            const std::string& top, bool hash);
store::Tree tree_of(const transfer::Source& source);  // all hashed

// Receives pushes into the folder "in" of a disk, answers fetches from "out".
class FolderHost final : public transfer::Host {
 public:
  explicit FolderHost(std::shared_ptr<sim::CrashFiles> disk) : disk_(std::move(disk)) {}
  Result<std::shared_ptr<transfer::Sink>> receive(const wire::Offer& offer) override;
  Result<std::unique_ptr<transfer::FetchWork>> send(const wire::Fetch& fetch) override;
  Result<std::unique_ptr<transfer::AskWork>> answer(const wire::Ask& ask) override;

 private:
  std::shared_ptr<sim::CrashFiles> disk_;
};

class World {
 public:
  // What answers at B: a folder, or a site with versions.
  enum class At : std::uint8_t { kFolder, kSite };
  explicit World(std::uint64_t seed, DoubleLink shape = {}, At b = At::kFolder);

  // Starts the process of this end anew: new exchange, same disk, these options.
  void boot(End end);
  void kill(End end);  // kill -9

  TransferId push(const std::string& dataset, const std::string& top = "src", bool hashed = false,
                  transfer::SiteMemory memory = {});
  TransferId pull(const std::string& dataset, std::shared_ptr<transfer::Sink> sink,
                  bool unfinished = false);
  // Runs until the transfer that began here has ended; its event, or nullopt after `limit`.
  std::optional<Finished> run(End end, Duration limit = 600s);

  transfer::ExchangeOptions& options(End end) {
    return sides_[static_cast<std::size_t>(end)].options;
  }
  Exchange& at(End end) { return *sides_[static_cast<std::size_t>(end)].exchange; }
  sim::CrashFiles& disk(End end) { return *sides_[static_cast<std::size_t>(end)].disk; }
  std::shared_ptr<sim::CrashFiles> shared_disk(End end) {
    return sides_[static_cast<std::size_t>(end)].disk;
  }
  store::ChunkIndex& index(End end) { return *sides_[static_cast<std::size_t>(end)].index; }
  SessionDouble& link() { return link_; }
  Rng& rng() { return rng_; }
  std::uint64_t bulk_bytes() const {
    return link_.sent_bytes(End::kA, session::Lane::kBulk) +
           link_.sent_bytes(End::kB, session::Lane::kBulk);
  }

 private:
  struct SideOf {
    std::shared_ptr<sim::CrashFiles> disk = std::make_shared<sim::CrashFiles>();
    std::unique_ptr<store::Root> root;
    std::unique_ptr<store::MemoryIndex> index;
    std::unique_ptr<transfer::Host> host;
    transfer::ExchangeOptions options;
    std::unique_ptr<Exchange> exchange;
  };
  const At b_;
  Rng rng_;
  std::array<SideOf, 2> sides_;
  SessionDouble link_;
};

}  // namespace longhaul::test
