#include "lib/checkpoint/home_sink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "lib/base/escape.hpp"
#include "lib/store/manifest_file.hpp"
#include "lib/store/publish.hpp"

namespace longhaul::checkpoint {

using store::TreeName;

namespace {

constexpr std::string_view kNote = ".longhaul-checkpoint";
constexpr std::string_view kChunks = ".longhaul-chunks";
constexpr std::size_t kHomeCompared = 2;  // checkpoints whose chunks are known while one comes
constexpr std::string_view kNoteHead = "longhaul checkpoint 2";
constexpr std::string_view kNoteHeadBefore = "longhaul checkpoint 1";  // without a time
constexpr std::size_t kNoteBytesMax = 2048;
constexpr std::size_t kListStep = 1000;
constexpr int kTrashTries = 8;
const char* const kTrash = ".longhaul/trash";

std::string_view word_of(Form form) {
  return form == Form::kFull ? "full" : "weights";
}

// What names the staging: nothing that the site chose.
std::string staged_as(const std::string& run, const Wanted& wanted) {
  return fmt::format("checkpoint {} {} {} {}", run, wanted.checkpoint.attempt,
                     wanted.checkpoint.step, word_of(wanted.form));
}

// The stagings of a run have a note beside them, so that those nobody wants any more can go.
TreeName beside(const TreeName& staging, const char* ending) {
  return staging.parent().child(std::string(staging.last()) + ending).value();
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out);
  return read.ec == std::errc() && read.ptr == end;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

Error not_ours(const TreeName& name) {
  return Error(Kind::kExists, "put the checkpoint at " + name.shown(),
               "something else stands there, and is not touched")
      .advise("move it away, or name another folder");
}

}  // namespace

bool is_home(const Wanted& held, const Wanted& wanted) {
  const Checkpoint& here = held.checkpoint;
  const Checkpoint& there = wanted.checkpoint;
  return held.form == wanted.form && here.attempt == there.attempt && here.step == there.step &&
         (here.at == there.at || here.at.ns == 0);
}

TreeName home_name(const Wanted& wanted) {
  return TreeName::known(fmt::format("step-{:08}{}", wanted.checkpoint.step,
                                     wanted.form == Form::kFull ? ".full" : ""));
}

std::optional<Held> read_held(store::Files& home, const TreeName& name) {
  const auto note = name.child(kNote);
  if (!note) return std::nullopt;
  const auto bytes = store::read_whole(home, *note, kNoteBytesMax);
  const auto stat = home.stat(*note);
  if (!bytes || !stat) return std::nullopt;
  const auto lines = lines_of(text_of(*bytes));
  const bool timed = lines.size() == 7 && lines[0] == kNoteHead;
  if (!timed && (lines.size() != 6 || lines[0] != kNoteHeadBefore)) return std::nullopt;
  Held held;
  held.run = std::string(lines[1]);
  held.arrived = stat->mtime;
  held.what.form = lines[4] == word_of(Form::kFull) ? Form::kFull : Form::kWeights;
  const auto root = crypto::Digest::from_hex(lines[5]);
  const bool good = parse_number(lines[2], held.what.checkpoint.attempt) &&
                    parse_number(lines[3], held.what.checkpoint.step) &&
                    lines[4] == word_of(held.what.form) && root && home_name(held.what) == name &&
                    (!timed || parse_number(lines[6], held.what.checkpoint.at.ns));
  if (!good) return std::nullopt;
  held.root = *root;
  return held;
}

Result<std::vector<Held>> list_held(store::Files& home) {
  std::vector<Held> out;
  const auto listing = TRY(home.open_folder(TreeName()));
  for (;;) {
    const auto found = TRY(listing->next(kListStep));
    if (found.empty()) return out;
    for (const store::Found& one : found) {
      if (one.stat.type != store::FileType::kFolder || !one.name.starts_with("step-")) continue;
      const auto name = TreeName::parse(one.name);
      if (!name) continue;
      if (auto held = read_held(home, *name)) out.push_back(*std::move(held));
    }
  }
}

bool is_begun(store::Files& home, const std::string& run, const Wanted& wanted) {
  return home.stat(transfer::staging_folder(staged_as(run, wanted))).has_value();
}

bool may_be_here(store::Files& home, const std::string& run, const Wanted& wanted) {
  if (is_begun(home, run, wanted)) return true;
  const auto held = list_held(home);
  return held && std::any_of(held->begin(), held->end(), [&](const Held& one) {
           return one.run == run && one.what.form == wanted.form &&
                  home.stat(home_name(one.what).child(kChunks).value());
         });
}

void sweep(store::Files& home, const std::string& run, const std::vector<Wanted>& but) {
  (void)store::remove_tree(home, TreeName::known(kTrash));
  const TreeName stagings = transfer::staging_folder("").parent();
  std::vector<TreeName> wanted;
  for (const Wanted& one : but) wanted.push_back(transfer::staging_folder(staged_as(run, one)));
  const auto listing = home.open_folder(stagings);
  if (!listing) return;
  std::vector<TreeName> notes;
  for (;;) {
    const auto found = (*listing)->next(kListStep);
    if (!found || found->empty()) break;
    for (const store::Found& one : *found)
      if (const auto name = stagings.child(one.name); name && one.name.ends_with(".run"))
        notes.push_back(*name);
  }
  for (const TreeName& note : notes) {
    const auto text = store::read_whole(home, note, kNoteBytesMax);
    const auto staging = TreeName::parse(note.text().substr(0, note.text().size() - 4));
    if (!text || text_of(*text) != run || !staging) continue;
    if (std::find(wanted.begin(), wanted.end(), *staging) != wanted.end()) continue;
    const TreeName lock_name = beside(*staging, ".lock");
    const auto lock = home.lock(lock_name);
    if (!lock) continue;  // somebody is at it
    (void)store::remove_tree(home, *staging);
    (void)home.remove(note);
    (void)home.remove(lock_name);
  }
  if (home.remove_folder(stagings)) (void)home.remove_folder(stagings.parent());
}

HomeSink::HomeSink(std::shared_ptr<store::Files> home, HomeOptions options)
    : StagedSink(std::move(home), transfer::staging_folder(staged_as(options.run, options.wanted))),
      options_(std::move(options)) {}

// Said before a byte crosses, not after all of them did.
Result<> HomeSink::check_place() {
  const TreeName name = home_name(options_.wanted);
  const auto stat = files().stat(name);
  if (!stat) return stat.error().kind() == Kind::kNotFound ? Result<>() : fail(stat.error());
  const auto held = read_held(files(), name);
  return held && held->run == options_.run ? Result<>() : fail(not_ours(name));
}

Result<transfer::Sink::Opened> HomeSink::prepare(const wire::Offer&) {
  if (auto free = check_place(); !free) {
    leave_no_trace();
    return fail(free.error());
  }
  if (options_.begun) {
    std::vector<Wanted> stay = *options_.begun;
    stay.push_back(options_.wanted);
    sweep(files(), options_.run, stay);
  }
  TRY(store::write_whole(
      files(), beside(transfer::staging_folder(staged_as(options_.run, options_.wanted)), ".run"),
      bytes_of(options_.run)));
  look_at_home();
  return Opened();
}

// A list that is missing or rotten costs the link, nothing else.
void HomeSink::look_at_home() {
  local_.clear();
  const auto held = newest_held();
  if (!held) return;
  for (std::size_t i = 0; i < std::min(held->size(), kHomeCompared); ++i) {
    const TreeName folder = home_name((*held)[i].what);
    const auto tree = store::read_manifest(files(), folder.child(kChunks).value());
    if (!tree) continue;
    for (store::TreeWalk walk(*tree); walk.next();) {
      if (walk.entry().type != store::EntryType::kFile) continue;
      std::uint64_t offset = 0;
      for (const store::Piece& piece : walk.pieces()) {
        if (!piece.hole)
          local_.emplace(piece.chunk,
                         transfer::LocalPlace{walk.entry().name.under(folder), offset});
        offset += piece.length;
      }
    }
  }
}

std::optional<transfer::LocalPlace> HomeSink::find_local(const store::ChunkId& chunk) {
  const auto found = local_.find(chunk);
  return found == local_.end() ? std::nullopt : std::optional(found->second);
}

Result<transfer::Published> HomeSink::publish(const store::Tree& tree) {
  TRY(store::prepare(tree, staging(), nullptr, false));
  TRY(put_note(tree));
  TRY(clear_place());
  TRY(files().rename(staging().tree(), home_name(options_.wanted), store::Replace::kNo));
  TRY(files().sync_folder(TreeName()));
  // It is home. What goes wrong from here on is only untidy.
  const TreeName note = beside(staging().folder(), ".run");
  (void)prune();
  (void)clear_staging();
  (void)files().remove(note);
  leave_no_trace();
  return transfer::Published{0, tree.root(), false};
}

Result<> HomeSink::put_note(const store::Tree& tree) {
  const Wanted& wanted = options_.wanted;
  const std::string text = fmt::format(
      "{}\n{}\n{}\n{}\n{}\n{}\n{}\n", kNoteHead, options_.run, wanted.checkpoint.attempt,
      wanted.checkpoint.step, word_of(wanted.form), tree.root().hex(), wanted.checkpoint.at.ns);
  TRY(store::write_manifest(files(), TRY(staging().tree().child(kChunks)), tree));
  return store::write_whole(files(), TRY(staging().tree().child(kNote)), bytes_of(text));
}

Result<> HomeSink::clear_place() {
  TRY(check_place());
  const TreeName name = home_name(options_.wanted);
  return files().stat(name) ? discard(name) : Result<>();
}

// Under another name first, so that half of it never looks like all of it. The trash is shared with
// whoever else brings checkpoints here, and may go away between two calls; with that name gone it
// is done, and whatever is left there goes with the next sweep.
Result<> HomeSink::discard(const TreeName& name) {
  const TreeName trash = TreeName::known(kTrash);
  const TreeName away = TRY(trash.child(name.text()));
  Result<> moved;
  for (int i = 0; i < kTrashTries; ++i) {
    TRY(store::make_folders(files(), trash));
    (void)store::remove_tree(files(), away);
    moved = files().rename(name, away, store::Replace::kNo);
    if (moved || !files().stat(name)) break;
  }
  if (!moved && files().stat(name)) return moved;
  // A rename lasts once the folder it led to does.
  const Result<> lasts = files().sync_folder(trash);
  if (!lasts && lasts.error().kind() != Kind::kNotFound) return lasts;
  (void)store::remove_tree(files(), away);
  (void)files().remove_folder(trash);
  return {};
}

// Of this run and form, those announced last first: the attempts of a run that was begun anew under
// its name count from 1 again.
Result<std::vector<Held>> HomeSink::newest_held() {
  std::vector<Held> all = TRY(list_held(files()));
  std::erase_if(all, [this](const Held& held) {
    return held.run != options_.run || held.what.form != options_.wanted.form;
  });
  std::sort(all.begin(), all.end(), [](const Held& a, const Held& b) {
    const Checkpoint &one = a.what.checkpoint, &two = b.what.checkpoint;
    return std::tie(one.at, one.attempt, one.step) > std::tie(two.at, two.attempt, two.step);
  });
  return all;
}

Result<> HomeSink::prune() {
  if (options_.keep == 0) return {};
  const TreeName mine = home_name(options_.wanted);
  std::vector<Held> others = TRY(newest_held());
  std::erase_if(others, [&mine](const Held& held) { return home_name(held.what) == mine; });
  for (std::size_t i = options_.keep - 1; i < others.size(); ++i)
    TRY(discard(home_name(others[i].what)));
  return {};
}

}  // namespace longhaul::checkpoint
