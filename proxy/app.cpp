#include "proxy/app.hpp"

#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"

namespace longhaul::proxy {

int App::failed(const Error& error) {
  const cli::Explanation explanation = cli::explain(error);
  const int code = cli::exit_code_of(error.kind());
  console.err(cli::to_text(explanation, "longhaul"));
  if (json) {
    cli::JsonLine line;
    line.add("event", "error").add("kind", name_of(error.kind())).add("what", explanation.what);
    line.add("why", explanation.why).add("do", explanation.todo).add("exit_code", code);
    json_line(line);
  }
  return code;
}

}  // namespace longhaul::proxy
