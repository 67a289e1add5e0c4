// PlanSample: a few blocks of what a push would send, read and encoded as the push would do it, to
// learn what the disk, the cores and the codecs make of this data. Two works, so that whoever hands
// them out can time each; neither reads a clock.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lib/base/job.hpp"
#include "lib/base/units.hpp"
#include "lib/transfer/rows.hpp"
#include "lib/transfer/site_memory.hpp"

namespace longhaul::transfer {

// Blocks of consecutive content that would cross, spread evenly over all of it; read and hashed.
class SampleRead final : public Work {
 public:
  static constexpr std::size_t kBlocks = 48;
  SampleRead(std::shared_ptr<const Source> source_in, SiteMemory memory_in)
      : source(std::move(source_in)), memory(std::move(memory_in)) {}
  void run() override;

  std::shared_ptr<const Source> source;
  SiteMemory memory;
  struct Block {
    std::uint32_t row = 0;  // of its first byte
    ByteVector bytes;
  };
  std::vector<Block> blocks;  // what could be read
  bool is_all = false;        // they are the whole content, in order
  std::uint64_t bytes = 0;
};

class SampleEncode final : public Work {
 public:
  SampleEncode(std::shared_ptr<const Source> source_in, SampleRead& read, BytesPerSecond link_in,
               unsigned cores_in, Duration (*cpu_time_in)())
      : source(std::move(source_in)),
        blocks(std::move(read.blocks)),
        is_all(read.is_all),
        link(link_in),
        cores(cores_in),
        cpu_time(cpu_time_in) {}
  void run() override;

  // Of one core: what is left then is as what was encoded.
  static constexpr Duration kEffort = 2s;

  std::shared_ptr<const Source> source;
  std::vector<SampleRead::Block> blocks;
  bool is_all = false;  // as SampleRead's: then each block goes as the push will send it
  BytesPerSecond link;
  unsigned cores = 1;
  Duration (*cpu_time)();                        // as of Clocks
  std::uint64_t encoded_bytes = 0;               // by the rungs that the push would come to use
  std::uint64_t raw_bytes = 0, tried_bytes = 0;  // content; the same for each rung that was tried
};

}  // namespace longhaul::transfer
