// One request to a site and its whole answer: what ls, verify, rm and ckpt are made of.
#pragma once

#include <optional>
#include <vector>

#include "proxy/app.hpp"
#include "proxy/connection.hpp"

namespace longhaul::proxy {

struct Asked {
  std::string place;  // SITE[:DATASET[@VERSION]]
  wire::AskType type;
};
// `refused`: what the site said instead, or beside the lines (verify: some files are bad).
struct Answer {
  std::vector<wire::Line> lines;
  wire::Outcome outcome;
  std::optional<Error> refused;
};

// Result: the link's or session's own failure.
io::Task<Result<Answer>> ask(App& app, Asked asked);

struct Question {
  wire::AskType type;
  std::string dataset;
  std::uint64_t version = 0;
};
// The same over a connection that is there, or is just being made.
io::Task<Result<Answer>> ask_over(App& app, Connection& connection, Site site, Question question);

}  // namespace longhaul::proxy
