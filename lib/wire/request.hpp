// Requests about datasets and runs and their answers: list, verify, remove, rebuild. An Ask on the
// control lane is answered by one or more Answers on the demand lane, `number` from 0, in any order
// of arrival; the last one says so and carries the outcome.
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/codec.hpp"
#include "lib/wire/kind.hpp"

namespace longhaul::wire {

using RequestId = Id<struct RequestTag>;  // chosen by the asker, rising

constexpr std::size_t kDatasetNameMax = 200;
constexpr std::size_t kReasonMax = 512;
constexpr std::size_t kLinesPerAnswerMax = 1024;
constexpr std::size_t kLineNameMax = 3584;

enum class AskType : std::uint8_t {
  kDatasets = 1,     // names and newest versions
  kVersions = 2,     // of one dataset
  kFiles = 3,        // of one version
  kVerify = 4,       // re-reads everything of one version, or of all (0)
  kRemove = 5,       // one version
  kSums = 6,         // kVerify, with a line for each file that is whole: its flat SHA-256
  kRebuild = 7,      // the chunk index, from every manifest
  kCheckpoints = 8,  // of one run
};
constexpr auto wire_values(AskType) {
  return std::array{
      Known{AskType::kDatasets, "datasets"}, Known{AskType::kVersions, "versions"},
      Known{AskType::kFiles, "files"},       Known{AskType::kVerify, "verify"},
      Known{AskType::kRemove, "remove"},     Known{AskType::kSums, "sums"},
      Known{AskType::kRebuild, "rebuild"},   Known{AskType::kCheckpoints, "checkpoints"}};
}

struct Ask {
  RequestId request;
  AskType type = AskType::kDatasets;
  Text<kDatasetNameMax> dataset;
  std::uint64_t version = 0;
  template <class F>
  static void fields(F& f) {
    f(&Ask::request, "request");
    f(&Ask::type, "type");
    f(&Ask::dataset, "dataset", "empty for datasets and rebuild; checkpoints: the run");
    f(&Ask::version, "version", "0: the newest");
  }
};

struct Line {
  Text<kLineNameMax> name;
  std::uint8_t type = 0;
  std::uint32_t mode = 0;
  std::uint64_t version = 0;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::int64_t time_ns = 0;
  std::optional<crypto::Digest> root;
  Text<kReasonMax> note;
  template <class F>
  static void fields(F& f) {
    f(&Line::name, "name", "dataset; a file's name from the root; a checkpoint's, from its run");
    f(&Line::type, "type", "files: store::EntryType");
    f(&Line::mode, "mode", "files; checkpoints: the attempt");
    f(&Line::version, "version", "checkpoints: the step");
    f(&Line::files, "files");
    f(&Line::bytes, "bytes");
    f(&Line::time_ns, "time_ns", "of publication, the file's mtime, or when it was announced");
    f(&Line::root, "root", "versions: the tree; files: the content's hash; sums: the flat SHA-256");
    f(&Line::note, "note", "verify, sums, rebuild, versions: what is wrong with it; link: target");
  }
};

struct Outcome {
  std::optional<Kind> failed;
  Text<kReasonMax> text;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bad = 0;
  template <class F>
  static void fields(F& f) {
    f(&Outcome::failed, "failed");
    f(&Outcome::text, "text");
    f(&Outcome::files, "files", "verify, sums: read; rebuild: indexed");
    f(&Outcome::bytes, "bytes", "verify: read; remove: freed");
    f(&Outcome::bad, "bad", "verify, sums: files whose bytes are wrong; rebuild: manifests");
  }
};

struct Answer {
  RequestId request;
  std::uint32_t number = 0;
  List<Line, kLinesPerAnswerMax> lines;
  std::optional<Outcome> last;
  template <class F>
  static void fields(F& f) {
    f(&Answer::request, "request");
    f(&Answer::number, "number", "from 0");
    f(&Answer::lines, "lines");
    f(&Answer::last, "last", "nothing follows this number");
  }
};

}  // namespace longhaul::wire
