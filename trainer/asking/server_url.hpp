// ServerUrl: where an OpenAI-compatible server is. "http://HOST[:PORT]/v1" stands for its
// completions; ".../completions" and ".../chat/completions" are taken as they are. Pure.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

struct ServerUrl {
  std::string host, port = "80", path;
  bool chat = false;
  // kUsage for what is no such URL; kUnsupported for https.
  static Result<ServerUrl> parse(std::string_view text);
};

}  // namespace longhaul::trainer
