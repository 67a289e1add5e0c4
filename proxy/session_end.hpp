// Why a session ended or a site said no, for people: what was tried, why it failed, what to do.
// Pure functions.
#pragma once

#include <optional>
#include <string>

#include "lib/session/output.hpp"

namespace longhaul::proxy {

// A refusal in words that say what to do; anything else as the session put it.
Error explain_end(const session::Ended& ended, const std::string& site);

// It was not reached for so long. last_try: what the last dial said; called: the site dials us.
Error explain_silence(const std::string& site, Duration waited,
                      const std::optional<Error>& last_try, bool called);

// An error that the site told, with its own "what: why", as if it had happened here; any other one
// as it is.
Error explain_answer(const Error& told, const std::string& site);

}  // namespace longhaul::proxy
