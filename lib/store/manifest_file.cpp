#include "lib/store/manifest_file.hpp"

#include <algorithm>

namespace longhaul::store {
namespace {

constexpr std::string_view kMagic = "longhaul manifest 1\n";
constexpr std::byte kHashSha256{1};
constexpr std::size_t kRootAt = kMagic.size() + 1, kSizeAt = kRootAt + crypto::Digest::kSize;
constexpr std::size_t kHeaderBytes = kSizeAt + 8;

struct Header {
  crypto::Digest root;
  std::uint64_t body_bytes = 0;
};

Result<Header> parse_header(Bytes header, const std::string& what) {
  const std::string attempt = "read the manifest " + what;
  if (header.size() < kHeaderBytes || text_of(header.first(kMagic.size())) != kMagic)
    return fail(Kind::kMalformed, attempt, "it does not begin like one");
  if (header[kMagic.size()] != kHashSha256)
    return fail(Kind::kUnsupported, attempt, "an unknown hash");
  Header read;
  read.root = crypto::Digest(header.subspan<kRootAt, crypto::Digest::kSize>());
  read.body_bytes = load_le<std::uint64_t>(header.subspan(kSizeAt));
  if (read.body_bytes > kTreeBytesMax) return fail(Kind::kLimit, attempt, "it is too large");
  return read;
}

Result<Header> read_header(File& file, const TreeName& name) {
  std::array<std::byte, kHeaderBytes> bytes{};
  const std::size_t got = TRY(file.read_at(bytes, 0));
  return parse_header(Bytes(bytes).first(got), name.shown());
}

}  // namespace

ByteVector manifest_header(const Tree& tree) {
  ByteVector header;
  append(header, bytes_of(kMagic));
  header.push_back(kHashSha256);
  append(header, tree.root().bytes());
  header.resize(kHeaderBytes);
  store_le<std::uint64_t>(MutableBytes(header).subspan(kSizeAt), tree.bytes().size());
  return header;
}

Result<Tree> parse_manifest(Bytes file, const std::string& what) {
  const Header header = TRY(parse_header(file, what));
  const Bytes body = file.subspan(kHeaderBytes);
  if (body.size() == header.body_bytes)
    if (auto tree = Tree::parse(GrowingBytes::copy_of(body)); tree && tree->root() == header.root)
      return tree;
  return fail(Kind::kIntegrity, "read the manifest " + what, "its hash does not match");
}

Result<> write_manifest(Files& files, const TreeName& name, const Tree& tree) {
  return write_whole(files, name, manifest_header(tree), 0644, tree.bytes());
}

Result<crypto::Digest> read_manifest_root(Files& files, const TreeName& name) {
  auto file = TRY(files.open(name, Access::kRead));
  const Header header = TRY(read_header(*file, name));
  return header.root;
}

Result<Tree> read_manifest(Files& files, const TreeName& name) {
  auto file = TRY(files.open(name, Access::kRead));
  const Header header = TRY(read_header(*file, name));
  const FileStat stat = TRY(file->stat());
  const auto rotten = [&] {
    return fail(Kind::kIntegrity, "read the manifest " + name.shown(),
                "it is damaged: its hash does not match");
  };
  if (stat.size != kHeaderBytes + header.body_bytes) return rotten();
  GrowingBytes body;
  const MutableBytes room = body.extend(static_cast<std::size_t>(header.body_bytes));
  const std::size_t got = TRY(file->read_at(room, kHeaderBytes));
  if (got != body.size()) return rotten();
  auto tree = Tree::parse(std::move(body));
  if (!tree || tree->root() != header.root) return rotten();
  return tree;
}

}  // namespace longhaul::store
