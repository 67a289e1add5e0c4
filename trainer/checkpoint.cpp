#include "trainer/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "lib/base/escape.hpp"
#include "trainer/checksum.hpp"
#include "trainer/json.hpp"
#include "trainer/safetensors_file.hpp"
#include "trainer/weights_file.hpp"

namespace longhaul::trainer {
namespace {

constexpr const char* kNotes = "checkpoint.json";
constexpr const char* kState = "state.safetensors";
constexpr const char* kPendingHome = "pending-home";
constexpr std::string_view kPrefix = "step-";
constexpr std::uint64_t kPieceBytes = 4U << 20;

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// Of a checkpoint's folder; nullopt: it is none, or is not finished.
std::optional<std::uint64_t> step_of(const Path& folder) {
  const std::string name = folder.filename().native();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  return number_in(std::string_view(name).substr(kPrefix.size()));
}

Result<std::vector<Path>> names_in(const Path& folder) {
  std::vector<Path> out;
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return out;
  std::filesystem::directory_iterator walk(folder, error), end;
  for (; !error && walk != end; walk.increment(error)) out.push_back(walk->path().filename());
  if (error) return fail_errno("list " + printable(folder.native()), error.value());
  std::sort(out.begin(), out.end());
  return out;
}

struct FileNote {
  std::uint64_t bytes, checksum;
};
Result<FileNote> note_of(const Path& path) {
  const File file = TRY(File::open_to_read(path));
  const std::uint64_t bytes = TRY(file.size());
  Checksum sum;
  ByteVector piece;
  for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
    piece.resize(std::min(kPieceBytes, bytes - at));
    TRY(file.read_at(at, piece));
    sum.add(piece);
  }
  return FileNote{bytes, sum.value()};
}

template <class Map, class Show>
std::string object_of(const Map& map, Show&& show) {
  std::string out;
  for (const auto& [key, value] : map)
    out += fmt::format("{}\n    {}: {}", out.empty() ? "" : ",", json_quoted(key), show(value));
  return "{" + out + "\n  }";
}

Result<std::string> notes_text(const Path& folder, const CheckpointNotes& notes) {
  std::string files;
  const std::vector<Path> names = TRY(names_in(folder));
  for (const Path& name : names) {
    const FileNote note = TRY(note_of(folder / name));
    files += fmt::format("{}\n    {}: {{\"bytes\": {}, \"checksum\": \"{:016x}\"}}",
                         files.empty() ? "" : ",", json_quoted(name.native()), note.bytes,
                         note.checksum);
  }
  const auto quoted = [](const std::string& text) { return json_quoted(text); };
  // 17 digits: a double comes back bit for bit.
  const auto exact = [](double value) { return fmt::format("{:.17g}", value); };
  return fmt::format(
      "{{\n  \"format\": 1,\n  \"step\": {},\n  \"next_index\": {},\n  \"settings\": {},\n"
      "  \"environment\": {},\n  \"numbers\": {},\n  \"files\": {{{}\n  }}\n}}\n",
      notes.step, notes.next_index, object_of(notes.settings, quoted),
      object_of(notes.environment, quoted), object_of(notes.numbers, exact), files);
}

Result<CheckpointNotes> parse_notes(const Json& json) {
  CheckpointNotes notes;
  if (TRY(json.at("format").unsigned_number()) != 1)
    return fail(Kind::kUnsupported, "read a checkpoint's notes", "another format");
  notes.step = TRY(json.at("step").unsigned_number());
  notes.next_index = TRY(json.at("next_index").unsigned_number());
  for (const auto& [key, value] : json.at("settings").members())
    notes.settings[key] = TRY(value.string());
  for (const auto& [key, value] : json.at("environment").members())
    notes.environment[key] = TRY(value.string());
  for (const auto& [key, value] : json.at("numbers").members())
    notes.numbers[key] = TRY(value.number());
  return notes;
}

tl::unexpected<Error> made_otherwise(Kind kind, const Path& folder, std::string why) {
  return fail(Error(kind, "resume from " + printable(folder.native()), std::move(why))
                  .advise("give the --model, --layers, --hidden and --optimizer that it was made "
                          "with, or another --run"));
}

Path unfinished_path(const Path& run, std::uint64_t step, std::uint64_t attempt) {
  return run / "checkpoints" / fmt::format(".{}{:08}.{}", kPrefix, step, attempt);
}

// Gives it its name; one that has that now is then under the unfinished one.
Result<> put_in_place(const Path& unfinished, const Path& folder) {
  std::error_code none;
  if (!std::filesystem::exists(folder, none)) return move_file(unfinished, folder);
  if (swap_names(unfinished, folder)) return {};
  const Path aside = unfinished.parent_path() /
                     (unfinished.stem().native() + "-before" + unfinished.extension().native());
  TRY(move_file(folder, aside));  // for a moment there is none of that name
  TRY(move_file(unfinished, folder));
  return move_file(aside, unfinished);
}

Result<> still_newest(const Path& run, std::uint64_t attempt, const std::string& attempting) {
  if (TRY(newest_attempt(run)) == attempt) return {};
  return fail(Kind::kBusy, attempting, "a newer attempt of this run is at work");
}

// What attempts up to this one have left unfinished: they were killed, or are to end.
void remove_unfinished(const Path& run, std::uint64_t attempt) {
  for (const Path& name : names_in(run / "checkpoints").value_or(std::vector<Path>())) {
    const std::string_view text = name.native();
    if (!text.starts_with(fmt::format(".{}", kPrefix))) continue;
    const auto of = number_in(text.substr(text.rfind('.') + 1));
    std::error_code ignored;
    if (of && *of <= attempt) std::filesystem::remove_all(run / "checkpoints" / name, ignored);
  }
}

// Why `bytes` and a tenth of them for all else do not fit there; nullopt: they do.
std::optional<std::string> lack_of_room(const Path& folder, std::uint64_t bytes) {
  const auto mb = [](std::uint64_t n) { return fmt::format("{:.1f} MB", double(n) / 1e6); };
  const std::string needs = "it needs " + mb(bytes) + " and a tenth";
  const std::uint64_t wanted = bytes + bytes / 10;
  const auto free = free_bytes(folder);
  if (!free) return free.error().message();
  if (*free < wanted) return needs + ", " + mb(*free) + " are free";
  const auto room = try_room(folder, wanted);
  if (room) return std::nullopt;
  return needs + ": " + room.error().message();
}

}  // namespace

Path checkpoint_path(const Path& run, std::uint64_t step) {
  return run / "checkpoints" / fmt::format("{}{:08}", kPrefix, step);
}

Path attempt_path(const Path& run, std::uint64_t attempt) {
  return run / "log" / fmt::format("{:06}.run", attempt);
}

Result<std::uint64_t> newest_attempt(const Path& run) {
  std::uint64_t newest = 0;
  const std::vector<Path> names = TRY(names_in(run / "log"));
  for (const Path& name : names)
    if (name.extension() == ".run")
      newest = std::max(newest, number_in(name.stem().native()).value_or(0));
  return newest;
}

Result<std::uint64_t> claim_attempt(const Path& run) {
  TRY(make_folders(run / "log"));
  for (;;) {
    const std::uint64_t next = TRY(newest_attempt(run)) + 1;
    const auto claimed = File::create_new(attempt_path(run, next));
    if (claimed) return next;
    if (claimed.error().kind() != Kind::kExists) return fail(claimed.error());
  }
}

Result<std::vector<Path>> list_checkpoints(const Path& run) {
  std::vector<std::pair<std::uint64_t, Path>> found;
  const std::vector<Path> names = TRY(names_in(run / "checkpoints"));
  for (const Path& name : names) {
    if (const auto step = step_of(name)) found.emplace_back(*step, run / "checkpoints" / name);
  }
  std::sort(found.begin(), found.end());
  std::vector<Path> out;
  for (auto& [step, path] : found) out.push_back(std::move(path));
  return out;
}

Result<CheckpointNotes> read_notes(const Path& folder) {
  const std::string text = TRY(read_text(folder / kNotes, kMaxConfigBytes));
  return parse_notes(TRY(Json::parse(text)));
}

Result<std::optional<Found>> newest_noted(const Path& run) {
  constexpr int kLooks = 3;  // one that was listed may be gone, and a newer one there
  for (int look = 0; look < kLooks; ++look) {
    std::vector<Path> folders = TRY(list_checkpoints(run));
    if (folders.empty()) break;
    for (; !folders.empty(); folders.pop_back())
      if (auto notes = read_notes(folders.back()))
        return std::optional(Found{folders.back(), *std::move(notes)});
  }
  return std::optional<Found>();
}

Result<CheckpointNotes> verify_checkpoint(const Path& folder) {
  const std::string text = TRY(read_text(folder / kNotes, kMaxConfigBytes));
  const auto broken = [&](const std::string& name) {
    return fail(Error(Kind::kIntegrity, "verify " + printable(folder.native()),
                      printable(name, 80) + " is not what was written")
                    .advise("take an older checkpoint: --resume auto does"));
  };
  const auto parsed = Json::parse(text);
  if (!parsed) return broken(kNotes);
  const Json& json = *parsed;
  bool has_state = false;
  for (const auto& [name, note] : json.at("files").members()) {
    if (name.find('/') != std::string::npos || name.starts_with(".")) return broken(name);
    const auto found = note_of(folder / name);
    const auto bytes = note.at("bytes").unsigned_number();
    if (!found || !bytes || found->bytes != *bytes ||
        fmt::format("{:016x}", found->checksum) != note.at("checksum").text())
      return broken(name);
    has_state = has_state || name == kState;
  }
  if (!has_state) return broken(kNotes);
  auto notes = parse_notes(json);
  if (notes) return notes;
  return fail_in(folder / kNotes, notes.error(), "take an older checkpoint: --resume auto does");
}

Result<std::optional<Found>> newest_valid(const Path& run, std::vector<std::string>& broken) {
  std::vector<Path> folders = TRY(list_checkpoints(run));
  while (!folders.empty()) {
    auto notes = verify_checkpoint(folders.back());
    if (notes) return std::optional(Found{folders.back(), *std::move(notes)});
    broken.push_back(notes.error().message());
    folders.pop_back();
  }
  return std::optional<Found>();
}

Result<> of_model(const Path& folder, const ModelConfig& config) {
  const ModelConfig stored = TRY(read_model_config(folder));
  if (stored == config) return {};
  return made_otherwise(Kind::kUsage, folder, "it is a checkpoint of another model");
}

Result<> load_checkpoint(const Path& folder, const ModelConfig& config, std::span<float> weights,
                         std::span<const NamedFloats> state) {
  TRY(of_model(folder, config));
  TRY(load_weights(folder, config, weights));
  const SafetensorsFile file = TRY(SafetensorsFile::open(folder / kState));
  if (file.tensors().size() != state.size())
    return made_otherwise(Kind::kMalformed, folder, "its optimizer keeps other buffers");
  for (const auto& [name, floats] : state) {
    const compression::Tensor* tensor = file.find(name);
    if (tensor == nullptr || tensor->dtype != "F32" || tensor->bytes != floats.size_bytes())
      return made_otherwise(
          Kind::kMalformed, folder,
          fmt::format("the optimizer's buffer {} is missing or of another length", name));
    TRY(file.read_floats(*tensor, 0, floats));
  }
  return {};
}

Result<Pruned> prune_checkpoints(const Path& run, std::uint64_t attempt, const Keep& keep) {
  TRY(still_newest(run, attempt, "delete older checkpoints of " + printable(run.native())));
  std::vector<Path> folders = TRY(list_checkpoints(run));
  Pruned gone;
  std::size_t kept = 0, waiting = 0;
  for (; !folders.empty(); folders.pop_back()) {
    const Path& folder = folders.back();
    std::error_code error;
    // What does not verify does not count as kept, so the newest valid one always stays.
    if (kept < keep.newest && verify_checkpoint(folder)) {
      ++kept;
      continue;
    }
    if (kept < keep.newest || (keep.best && *keep.best == folder)) continue;
    const bool pending = std::filesystem::exists(folder / kPendingHome, error);
    if (pending && ++waiting <= keep.pending) continue;
    std::filesystem::remove_all(folder, error);
    if (error) return fail_errno("delete " + printable(folder.native()), error.value());
    ++gone.deleted;
    if (pending) gone.given_up.push_back(step_of(folder).value_or(0));
  }
  return gone;
}

Result<> write_checkpoint(const Path& run, std::uint64_t attempt, const ModelConfig& config,
                          std::span<const float> weights, std::span<const NamedConstFloats> state,
                          const CheckpointNotes& notes, const std::function<void()>& written) {
  const Path folder = checkpoint_path(run, notes.step);
  const std::string attempting = "write " + printable(folder.native());
  TRY(still_newest(run, attempt, attempting));
  TRY(make_folders(run / "checkpoints"));
  std::uint64_t bytes = weights.size_bytes();
  for (const auto& [name, floats] : state) bytes += floats.size_bytes();
  std::error_code ignored;
  if (const auto there = read_notes(folder); there && *there == notes && verify_checkpoint(folder))
    return {};
  remove_unfinished(run, attempt);
  if (const auto lacks = lack_of_room(run / "checkpoints", bytes))
    return fail(Kind::kNoSpace, attempting, *lacks);
  const Path beside = unfinished_path(run, notes.step, attempt);
  const auto write_all = [&]() -> Result<> {
    TRY(save_weights(beside, config, weights, {"F32", ~std::uint64_t{0}}));
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, floats] : state)
      tensors.push_back(floats_to_write(name, "F32", {floats.size()}, floats));
    TRY(write_safetensors(beside / kState, tensors, {}));
    const std::string text = TRY(notes_text(beside, notes));
    TRY(write_text_atomically(beside / kNotes, text));
    if (written) written();
    TRY(still_newest(run, attempt, attempting));
    TRY(put_in_place(beside, folder));
    TRY(sync_folder(run / "checkpoints"));
    return sync_folder(run);  // where the name of `checkpoints` itself stands
  };
  Result<> done = write_all();
  std::filesystem::remove_all(beside, ignored);  // half of it, or the one that had its name
  return done;
}

}  // namespace longhaul::trainer
