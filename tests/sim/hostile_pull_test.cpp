// N1 and N3 with the laptop as the victim: a site that answers a pull with names of its own, into a
// folder on a real disk with something beside it that must stay as it is.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "lib/io/posix_files.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

namespace fs = std::filesystem;
using session::Lane;
using store::TreeName;

class HostilePull : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "longhaul-hostile-pull-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    fs::create_directories(base_ / "outside/folder");
    std::ofstream(base_ / "outside/canary") << "alive";
    std::ofstream(base_ / "canary") << "alive";
    fs::create_directory(base_ / "dst");
    std::ofstream(base_ / "dst/mine") << "mine";
    fs::create_symlink("../outside", base_ / "dst/way-out");
  }
  void TearDown() override { fs::remove_all(base_); }

  // Everything below `folder`: type, mode, time and content.
  static std::map<std::string, std::string> seen(const fs::path& folder) {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      struct stat raw {};
      ::lstat(entry.path().c_str(), &raw);
      std::string& what = out[entry.path().lexically_relative(folder)];
      what = std::to_string(raw.st_mode) + ' ' + std::to_string(raw.st_mtim.tv_sec) + '.' +
             std::to_string(raw.st_mtim.tv_nsec) + ' ';
      if (S_ISLNK(raw.st_mode)) what += fs::read_symlink(entry.path());
      if (!S_ISREG(raw.st_mode)) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      what.append(std::istreambuf_iterator<char>(file), {});
    }
    return out;
  }
  std::map<std::string, std::string> outside() const {
    auto all = seen(base_);
    std::erase_if(all, [](const auto& one) { return one.first.starts_with("dst"); });
    return all;
  }

  // The folder but for what is staged there until the next pull.
  std::map<std::string, std::string> pulled() const {
    auto all = seen(base_ / "dst");
    std::erase_if(all, [](const auto& one) { return one.first.starts_with(".longhaul"); });
    return all;
  }

  // Pulls what the site has in "out", by way of `change` for each record that it tells.
  using Change = std::function<void(wire::Record& record)>;
  std::optional<Finished> pull(World& world, const Change& change,
                               transfer::FolderOptions options = {}) {
    world.link().tap([change](End from, Lane, Slice message) -> std::optional<Slice> {
      auto decoded = wire::decode<wire::TransferMessage>(message);
      auto* segment = decoded ? std::get_if<wire::Segment>(&*decoded) : nullptr;
      if (from != End::kB || segment == nullptr || !change) return message;
      for (wire::Record& record : segment->records) change(record);
      return Slice::copy_of(wire::encode(*decoded));
    });
    const std::shared_ptr<store::Files> files = io::PosixFiles::at(base_ / "dst").value();
    world.pull("data", std::make_shared<transfer::FolderSink>(files, "data", std::move(options)));
    return world.run(End::kA, 700s);
  }
  void expect_refused(const Change& change) {
    World world(2);
    put_file(world.disk(End::kB), "out/a", bytes_of("the site's"));
    put_file(world.disk(End::kB), "out/b", random_bytes(world.rng(), 300'000));
    const auto before = pulled(), beside = outside();
    transfer::FolderOptions options;
    options.force = options.remove_others = true;  // as far as the user can let it go
    const auto end = pull(world, change, options);
    ASSERT_TRUE(end && end->error);
    EXPECT_TRUE(end->error->kind() == Kind::kMalformed || end->error->kind() == Kind::kIntegrity ||
                end->error->kind() == Kind::kLimit)
        << end->error->message();
    EXPECT_EQ(pulled(), before);
    EXPECT_EQ(outside(), beside);
  }

  fs::path base_;
};

TEST_F(HostilePull, N1NamesThatLeadElsewhereCreateAndChangeNothing) {
  for (const std::string& name :
       {std::string(".."), std::string("."), std::string(), std::string("../canary"),
        std::string("way-out/canary"), std::string("/etc/passwd"), base_.string() + "/canary",
        std::string(".longhaul"), std::string("nul\0x", 5)}) {
    SCOPED_TRACE(name);
    expect_refused([&name](wire::Record& record) {
      if (record.name == "a") record.name = name;
    });
  }
}

TEST_F(HostilePull, N1LinksOutOfTheTreeAreNotMade) {
  for (const char* target : {"../outside/canary", "/etc/passwd", "b/../../canary", "../../x"}) {
    SCOPED_TRACE(target);
    for (const auto type : {wire::RecordType::kSymlink, wire::RecordType::kHardLink})
      expect_refused([&](wire::Record& record) {
        if (record.name != "a") return;
        record = wire::Record();
        record.name = "a";
        record.type = type;
        record.target = target;
      });
  }
}

TEST_F(HostilePull, N4DevicesAndModesThatCannotBeAreRefused) {
  for (const std::uint32_t mode : {04755U, 02755U, 01777U, 0020644U, 0060644U, 0x80000000U}) {
    SCOPED_TRACE(mode);
    expect_refused([mode](wire::Record& record) { record.mode = mode; });
  }
}

// A link that the folder has: what the site puts below its name never goes through it.
TEST_F(HostilePull, N1AFolderOfTheSitesNeverWritesThroughALinkOfOurs) {
  const auto beside = outside();
  for (const bool force : {false, true}) {
    World world(3);
    put_file(world.disk(End::kB), "out/way-out/canary", bytes_of("the site's"));
    transfer::FolderOptions options;
    options.force = force;
    const auto end = pull(world, nullptr, options);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->error.has_value(), !force);
    EXPECT_EQ(outside(), beside);
  }
  EXPECT_FALSE(fs::is_symlink(base_ / "dst/way-out"));
}

// Names that are odd and fine come as they are.
TEST_F(HostilePull, N3EveryNameThatMayBeIsStoredAsItIs) {
  World world(4);
  std::vector<std::string> names = {"CON",
                                    "nul.txt",
                                    "dot.",
                                    " ",
                                    "new\nline",
                                    "\x1b[31m",
                                    "\xff\xfe",
                                    "e\xcc\x81",
                                    "\xc3\xa9",
                                    "Case",
                                    "case",
                                    "-rf",
                                    "$(reboot)",
                                    "~",
                                    "a*?[b]",
                                    "\xe2\x80\xae"
                                    "cod"};
  names.push_back(std::string(255, 'l'));
  for (int c = 1; c < 256; ++c)
    if (c != '/') names.push_back("byte" + std::string(1, static_cast<char>(c)));
  std::string deep = "deep";
  while (deep.size() + 100 < 3000) deep += "/" + std::string(99, 'd');
  for (const std::string& name : names)
    put_file(world.disk(End::kB), "out/odd/" + name, bytes_of(name));
  put_file(world.disk(End::kB), "out/" + deep, bytes_of(deep));
  const auto end = pull(world, nullptr);
  ASSERT_TRUE(end);
  ASSERT_FALSE(end->error) << end->error->message();
  const auto found = seen(base_ / "dst/odd");
  EXPECT_EQ(found.size(), names.size());
  for (const std::string& name : names) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_TRUE(found.at(name).ends_with(' ' + name)) << name;
  }
  EXPECT_EQ(fs::file_size(base_ / "dst" / deep), deep.size());
}

}  // namespace
}  // namespace longhaul::test
