#include "lib/io/tree_watch.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "lib/io/asio_env.hpp"
#include "lib/io/file_system.hpp"
#include "lib/io/task_group.hpp"

namespace longhaul::io {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "longhaul-watch-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::app) << text;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::vector<store::TreeName> names(std::initializer_list<const char*> list) {
  std::vector<store::TreeName> out;
  for (const char* name : list) out.push_back(store::TreeName::known(name));
  return out;
}

using Deed = std::function<void()>;

// Follows the folders, does the deed, waits to hear of it.
Task<> hear(Env& env, std::string top, std::vector<store::TreeName> folders, Deed deed,
            bool& heard) {
  const auto watch = TreeWatch::open(env, top);
  co_await watch->follow(std::move(folders));
  deed();
  heard = co_await watch->changed();
  watch->close();
}

bool is_heard(const Folder& folder, std::initializer_list<const char*> folders, const Deed& deed) {
  AsioEnv env;
  bool heard = false;
  env.run(hear(env, folder.path().string(), names(folders), deed, heard), {});
  return heard;
}

TEST(TreeWatch, HearsOfWhatHappensInTheFoldersThatItFollows) {
  Folder folder;
  fs::create_directories(folder.path() / "a/b");
  folder.write("a/b/file", "one");
  EXPECT_TRUE(is_heard(folder, {"a", "a/b"}, [&] { folder.write("a/b/file", "two"); }));
  EXPECT_TRUE(is_heard(folder, {"a", "a/b"}, [&] { folder.write("new", "at the top"); }));
  EXPECT_TRUE(is_heard(folder, {"a"}, [&] { fs::create_directory(folder.path() / "a/c"); }));
  EXPECT_TRUE(is_heard(folder, {"a", "a/b"}, [&] {
    fs::rename(folder.path() / "a/b/file", folder.path() / "a/b/moved");
  }));
  EXPECT_TRUE(is_heard(folder, {"a", "a/b"}, [&] {
    fs::permissions(folder.path() / "a/b/moved", fs::perms::owner_read);
  }));
  EXPECT_TRUE(is_heard(folder, {"a", "a/b"}, [&] { fs::remove(folder.path() / "a/b/moved"); }));
}

Task<> follow_thrice(Env& env, const Folder& folder, std::vector<bool>& grew) {
  const auto watch = TreeWatch::open(env, folder.path().string());
  const std::vector<std::vector<store::TreeName>> lists{names({"a"}), names({"a"}),
                                                        names({"a", "b"})};
  for (const auto& list : lists) {
    const bool is_new = co_await watch->follow(list);
    grew.push_back(is_new);
  }
  watch->close();
}

TEST(TreeWatch, SaysWhetherItFollowsAFolderForTheFirstTime) {
  Folder folder;
  fs::create_directory(folder.path() / "a");
  fs::create_directory(folder.path() / "b");
  AsioEnv env;
  std::vector<bool> grew;
  env.run(follow_thrice(env, folder, grew), {});
  EXPECT_EQ(grew, (std::vector<bool>{true, false, true}));
}

Task<> listen(TreeWatch& watch, std::vector<std::string>& order) {
  const bool heard = co_await watch.changed();
  order.push_back(heard ? "heard" : "closed");
}
Task<> close_soon(Env& env, TreeWatch& watch, std::vector<std::string>& order) {
  co_await env.sleep_until(env.now() + 20ms);
  order.push_back("closing");
  watch.close();
}
Task<> touch_what_is_let_go(Env& env, const Folder& folder, std::vector<std::string>& order) {
  const auto watch = TreeWatch::open(env, folder.path().string());
  const std::vector<store::TreeName> both = names({"a", "b"}), one = names({"a"});
  co_await watch->follow(both);
  co_await watch->follow(one);
  folder.write("b/file", "not followed any more");
  { std::ifstream(folder.path() / "a/file").get(); }  // reading is no change
  TaskGroup group(env.executor());
  group.spawn(listen(*watch, order));
  group.spawn(close_soon(env, *watch, order));
  co_await group.join();
}

TEST(TreeWatch, DoesNotHearOfFoldersThatItNoLongerFollows) {
  Folder folder;
  fs::create_directory(folder.path() / "a");
  fs::create_directory(folder.path() / "b");
  folder.write("a/file", "there before");
  folder.write("b/file", "there before");
  AsioEnv env;
  std::vector<std::string> order;
  env.run(touch_what_is_let_go(env, folder, order), {});
  EXPECT_EQ(order, (std::vector<std::string>{"closing", "closed"}));
}

Task<> follow_gone(Env& env, const Folder& folder, bool& blind) {
  const auto watch = TreeWatch::open(env, folder.path().string());
  const std::vector<store::TreeName> neither = names({"gone", "file"});
  co_await watch->follow(neither);
  blind = watch->blind().has_value();
  watch->close();
}

TEST(TreeWatch, AFolderThatIsGoneOrNoFolderDoesNotBlindIt) {
  Folder folder;
  folder.write("file", "no folder");
  AsioEnv env;
  bool blind = true;
  env.run(follow_gone(env, folder, blind), {});
  EXPECT_FALSE(blind);
}

TEST(FileSystem, KnowsThoseThatOthersWriteTo) {
  EXPECT_EQ(shared_file_system(0x6969), "NFS");
  EXPECT_EQ(shared_file_system(0x0BD00BD0), "Lustre");
  EXPECT_EQ(shared_file_system(0xEF53), std::nullopt);      // ext4
  EXPECT_EQ(shared_file_system(0x01021994), std::nullopt);  // tmpfs
  EXPECT_EQ(shared_file_system_at("/proc/self"), std::nullopt);
  EXPECT_EQ(shared_file_system_at("/nowhere"), std::nullopt);
}

}  // namespace
}  // namespace longhaul::io
