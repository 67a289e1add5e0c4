// Canvases as what a terminal is sent: only the cells that changed since the frame before, by the
// sequences of ECMA-48 that every terminal since the VT220 knows (CUP, ED, SGR).
#pragma once

#include <string>

#include "lib/screen/canvas.hpp"

namespace longhaul::screen {

struct Look {
  bool color = true;    // false: NO_COLOR, only strong and faint are told apart
  bool unicode = true;  // false: ASCII, for terminals of another encoding
};

// before: what the terminal shows; null, or of another size: nothing known, it is cleared.
std::string paint(const Canvas& now, const Canvas* before, Look look);

// Lines of text without any sequence, ends trimmed: for files, pipes and terminals without cursor.
std::string plain(const Canvas& canvas, bool unicode);

}  // namespace longhaul::screen
