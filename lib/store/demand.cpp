#include "lib/store/demand.hpp"

#include <algorithm>
#include <unordered_set>

namespace longhaul::store {
namespace {

constexpr std::string_view kMagic = "longhaul demand 1\n";
constexpr std::size_t kHead = kMagic.size() + 8, kCheck = 8;
constexpr std::size_t kBytesMax = kHead + kDemandChunksMax * crypto::Digest::kSize + kCheck;
constexpr std::string_view kUnfinished = ".new";  // beside: not renamed yet

Bytes check_of(const crypto::Digest& digest) {
  return Bytes(digest.bytes()).first(kCheck);
}

// Of each list in turn, those not yet in `out`.
void deal(const std::vector<Demand>& readers, bool urgent, Demand& out,
          std::unordered_set<ChunkId>& seen) {
  for (std::size_t place = 0, left = 1; left > 0; ++place) {
    left = 0;
    for (const Demand& reader : readers) {
      const std::size_t begin = urgent ? 0 : reader.urgent;
      const std::size_t end = urgent ? reader.urgent : reader.chunks.size();
      if (begin + place >= end) continue;
      ++left;
      const ChunkId& chunk = reader.chunks[begin + place];
      if (out.chunks.size() < kDemandChunksMax && seen.insert(chunk).second)
        out.chunks.push_back(chunk);
    }
  }
}

}  // namespace

TreeName demand_folder(const DatasetName& dataset) {
  return dataset.name().under(TreeName::known(".longhaul/demand"));
}

ByteVector to_bytes(const Demand& demand) {
  ASSERT(demand.urgent <= demand.chunks.size() && demand.chunks.size() <= kDemandChunksMax);
  ByteVector out;
  out.reserve(kHead + demand.chunks.size() * crypto::Digest::kSize + kCheck);
  append(out, bytes_of(kMagic));
  out.resize(kHead);
  store_le(MutableBytes(out).subspan(kMagic.size()), demand.urgent);
  store_le(MutableBytes(out).subspan(kMagic.size() + 4),
           static_cast<std::uint32_t>(demand.chunks.size()));
  for (const ChunkId& chunk : demand.chunks) append(out, chunk.bytes());
  append(out, check_of(crypto::sha256(out)));
  return out;
}

Result<Demand> parse_demand(Bytes file) {
  const auto broken = [](Kind kind, const char* why) { return fail(kind, "read a demand", why); };
  if (file.size() > kBytesMax) return broken(Kind::kLimit, "it is too large");
  if (file.size() < kHead + kCheck || text_of(file.first(kMagic.size())) != kMagic)
    return broken(Kind::kMalformed, "it is none");
  Demand demand;
  demand.urgent = load_le<std::uint32_t>(file.subspan(kMagic.size()));
  const auto count = load_le<std::uint32_t>(file.subspan(kMagic.size() + 4));
  const Bytes ids = file.subspan(kHead, file.size() - kHead - kCheck);
  if (demand.urgent > count || ids.size() != std::size_t{count} * crypto::Digest::kSize)
    return broken(Kind::kMalformed, "its numbers do not fit");
  const crypto::Digest check = crypto::sha256(file.first(file.size() - kCheck));
  if (!equal(file.last(kCheck), check_of(check))) return broken(Kind::kIntegrity, "it is damaged");
  demand.chunks.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    demand.chunks.emplace_back(
        ids.subspan(i * crypto::Digest::kSize).first<crypto::Digest::kSize>());
  return demand;
}

std::optional<Demand> read_demand(Files& files, const DatasetName& dataset) {
  const TreeName name = demand_folder(dataset);
  const auto folder = files.open_folder(name);
  if (!folder) return std::nullopt;
  const auto found = (*folder)->next(kDemandReadersMax);
  if (!found) return std::nullopt;
  std::vector<std::string> names;
  for (const Found& entry : *found)
    if (entry.stat.type == FileType::kFile && !std::string_view(entry.name).ends_with(kUnfinished))
      names.push_back(entry.name);
  std::sort(names.begin(), names.end());  // a listing is in no order
  std::vector<Demand> readers;
  for (const std::string& reader : names) {
    const auto file = name.child(reader);
    if (!file) continue;
    const auto bytes = read_whole(files, *file, kBytesMax);
    if (!bytes) continue;
    if (auto demand = parse_demand(*bytes)) readers.push_back(*std::move(demand));
  }
  if (readers.empty()) return std::nullopt;
  Demand all;
  std::unordered_set<ChunkId> seen;
  deal(readers, true, all, seen);
  all.urgent = static_cast<std::uint32_t>(all.chunks.size());
  deal(readers, false, all, seen);
  return all;
}

void forget_demand(Files& files, const DatasetName& dataset) {
  (void)remove_tree(files, demand_folder(dataset));  // one that stays costs a later push its order
}

}  // namespace longhaul::store
