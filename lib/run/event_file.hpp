// TensorBoard event files: the records that its readers take, written and read without protobuf
// (a process that loads LibTorch may not carry a second one). Scalars only; other values are
// skipped when reading. Rules that TensorBoard's readers impose, and that whoever writes such a
// file must keep: one open file a folder, whole records, steps rising per tag (a step that arrives
// deletes what was stored at it and behind). Format: docs/run.md, "Event files"; source:
// tensorboard/data/server/tf_record.rs and tensorflow/core/util/event.proto.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/run/point.hpp"

namespace longhaul::run {

constexpr std::size_t kEventBytesMax = 64U << 20;  // of one record read; larger ones end the file

// "events.out.tfevents.1700000000.host.42.0"; `host` as it is printable in a file name.
std::string event_file_name(WallTime begun, std::string_view host, std::uint64_t process,
                            std::uint32_t number);

// The record every file begins with.
ByteVector event_file_head(WallTime at);
// A session starts at `step`: readers drop what they stored of the abandoned steps behind it.
ByteVector session_start_event(WallTime at, std::uint64_t step);
// A float of the value: TensorBoard has no wider scalar.
ByteVector scalar_event(WallTime at, std::uint64_t step, std::string_view tag, double value);

struct ScalarEvent {
  WallTime at;
  std::uint64_t step = 0;
  std::string tag;  // as in the file: print through printable()
  double value = 0;
};

// Takes the bytes of an event file from its beginning, in any split; a tail that is still being
// written is waited for.
class EventReader {
 public:
  void feed(Bytes more) { append(bytes_, more); }
  // Scalars of the next whole record that has any; nothing: feed more. kMalformed: the file is
  // damaged here, and TensorBoard itself would read no further.
  Result<std::optional<std::vector<ScalarEvent>>> next();

 private:
  ByteVector bytes_;
  std::size_t at_ = 0;
};

}  // namespace longhaul::run
