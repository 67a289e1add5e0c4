// An Error as three things a person needs: what failed, why, and what to do about it.
//
//   longhaul: cannot connect to gpu.example.org:7700
//     why: connection refused
//     do:  check that `longhaul-streamer run` is up there, then run the same command again
#pragma once

#include <string>

#include "lib/base/error.hpp"

namespace longhaul::cli {

struct Explanation {
  std::string what, why, todo;
};

Explanation explain(const Error& error);
// The three lines above, ready for stderr, ending in a newline.
std::string to_text(const Explanation& explanation, std::string_view program);

}  // namespace longhaul::cli
