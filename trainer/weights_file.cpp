#include "trainer/weights_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include "lib/base/escape.hpp"
#include "trainer/json.hpp"
#include "trainer/safetensors_file.hpp"

namespace longhaul::trainer {
namespace {

constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr const char* kSingleName = "model.safetensors";

std::string reading(const Path& folder) {
  return "load the model " + printable(folder.native());
}

// Of a folder whose files do not go together.
tl::unexpected<Error> mismatched(Kind kind, const Path& folder, std::string why) {
  return fail(Error(kind, reading(folder), std::move(why))
                  .advise("copy the model's folder again: its files are not of one model, or not "
                          "all there"));
}

bool meaningless(std::string_view name, const ModelConfig& config) {
  return name.ends_with(".rotary_emb.inv_freq") || (config.tied && name == "lm_head.weight");
}

Result<std::vector<Path>> files_of(const Path& folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder / kIndexName, ignored))
    return std::vector{folder / kSingleName};
  const std::string text = TRY(read_text(folder / kIndexName, kMaxJsonBytes));
  const auto parsed = Json::parse(text);
  if (!parsed) return fail_in(folder / kIndexName, parsed.error(), "copy the model's folder again");
  const Json& index = *parsed;
  std::set<std::string> names;
  for (const auto& [tensor, file] : index.at("weight_map").members()) {
    const std::string name = file.text();
    // A name, not a path: a checkpoint must not make us open what lies elsewhere.
    if (name.empty() || name.find('/') != std::string::npos || name.front() == '.' ||
        name.find('\0') != std::string::npos)
      return mismatched(Kind::kMalformed, folder, "its index names a file outside the folder");
    names.insert(name);
  }
  if (names.empty()) return mismatched(Kind::kMalformed, folder, "its index names no file");
  if (names.size() > kMaxWeightFiles) return mismatched(Kind::kLimit, folder, "too many files");
  std::vector<Path> files;
  for (const std::string& name : names) files.push_back(folder / name);
  return files;
}

Result<> load_tensor(const SafetensorsFile& file, const compression::Tensor& tensor,
                     const Parameter& parameter, const Path& folder, std::span<float> weights) {
  const bool same = std::equal(
      tensor.shape.begin(), tensor.shape.end(), parameter.shape.begin(), parameter.shape.end(),
      [](std::uint64_t a, std::int64_t b) { return a == static_cast<std::uint64_t>(b); });
  if (!same)
    return mismatched(Kind::kMalformed, folder,
                      fmt::format("{} is [{}], the config wants [{}]", parameter.name,
                                  fmt::join(tensor.shape, ", "), fmt::join(parameter.shape, ", ")));
  return file.read_floats(tensor, 0,
                          weights.subspan(static_cast<std::size_t>(parameter.offset),
                                          static_cast<std::size_t>(parameter.count())));
}

struct Shard {
  std::vector<TensorToWrite> tensors;
  std::uint64_t bytes = 0;
};

std::vector<Shard> shards_of(const ParameterLayout& layout, std::span<const float> weights,
                             const SaveOptions& options) {
  std::vector<Shard> shards(1);
  for (const Parameter& parameter : layout.all()) {
    std::vector<std::uint64_t> shape;
    for (const std::int64_t size : parameter.shape)
      shape.push_back(static_cast<std::uint64_t>(size));
    TensorToWrite tensor =
        floats_to_write(parameter.name, options.dtype, std::move(shape),
                        weights.subspan(static_cast<std::size_t>(parameter.offset),
                                        static_cast<std::size_t>(parameter.count())));
    if (shards.back().bytes > 0 && shards.back().bytes + tensor.bytes > options.shard_bytes)
      shards.emplace_back();
    shards.back().bytes += tensor.bytes;
    shards.back().tensors.push_back(std::move(tensor));
  }
  return shards;
}

Result<> save_shard(const Path& path, const Shard& shard) {
  Path beside = path;
  beside += ".partial";
  TRY(write_safetensors(beside, shard.tensors, {{"format", "pt"}}));
  return move_file(beside, path);
}

}  // namespace

Result<ModelConfig> read_model_config(const Path& folder) {
  const Path path = folder / "config.json";
  const std::string text = TRY(read_text(path, kMaxConfigBytes));
  auto config = parse_hf_config(text);
  if (config) return config;
  const bool other = config.error().kind() == Kind::kUnsupported;
  return fail_in(path, config.error(),
                 other ? "only LLaMA models without biases, with plain RoPE and SiLU, can be used"
                       : "copy the model's folder again, or mend the file");
}

Result<> load_weights(const Path& folder, const ModelConfig& config, std::span<float> weights) {
  const ParameterLayout layout(config);
  ASSERT(weights.size() == static_cast<std::size_t>(layout.size()));
  std::map<std::string_view, const Parameter*> wanted;
  for (const Parameter& parameter : layout.all()) wanted.emplace(parameter.name, &parameter);
  const std::vector<Path> paths = TRY(files_of(folder));
  for (const Path& path : paths) {
    const SafetensorsFile file = TRY(SafetensorsFile::open(path));
    for (const compression::Tensor& tensor : file.tensors()) {
      const auto found = wanted.find(tensor.name);
      if (found != wanted.end()) {
        TRY(load_tensor(file, tensor, *found->second, folder, weights));
        wanted.erase(found);
      } else if (!meaningless(tensor.name, config)) {
        return mismatched(Kind::kMalformed, folder,
                          fmt::format("{} stands there twice, or the model has no such tensor",
                                      printable(tensor.name, 80)));
      }
    }
  }
  if (!wanted.empty())
    return mismatched(
        Kind::kMalformed, folder,
        fmt::format("{} tensors are missing, {} among them", wanted.size(), wanted.begin()->first));
  return {};
}

Result<> save_weights(const Path& folder, const ModelConfig& config, std::span<const float> weights,
                      const SaveOptions& options) {
  const ParameterLayout layout(config);
  ASSERT(weights.size() == static_cast<std::size_t>(layout.size()));
  TRY(make_folders(folder));
  const std::vector<Shard> shards = shards_of(layout, weights, options);
  if (shards.size() == 1) {
    TRY(save_shard(folder / kSingleName, shards.front()));
  } else {
    std::string map;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < shards.size(); ++i) {
      const std::string name =
          fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
      TRY(save_shard(folder / name, shards[i]));
      total += shards[i].bytes;
      for (const TensorToWrite& tensor : shards[i].tensors)
        map += fmt::format("{}\n    {}: \"{}\"", map.empty() ? "" : ",", json_quoted(tensor.name),
                           name);
    }
    TRY(write_text_atomically(
        folder / kIndexName,
        fmt::format(
            "{{\n  \"metadata\": {{\"total_size\": {}}},\n  \"weight_map\": {{{}\n  }}\n}}\n",
            total, map)));
  }
  return write_text_atomically(
      folder / "config.json",
      to_hf_config(config, options.dtype == "F32" ? "float32" : "bfloat16"));
}

}  // namespace longhaul::trainer
