// The functions of toml++ that a static link needs: Debian ships its headers and a shared library,
// no archive. TOML_IMPLEMENTATION, set where this file is built, has the header define them here.
#include <toml++/toml.h>
