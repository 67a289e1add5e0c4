# fmt as headers, from what `tools/gpu --pack` has gathered; tools/gpu names this folder where fmt is not installed.
add_library(packed_fmt INTERFACE)
target_include_directories(packed_fmt SYSTEM INTERFACE "${CMAKE_CURRENT_LIST_DIR}/../../build/packed")
target_compile_definitions(packed_fmt INTERFACE FMT_HEADER_ONLY)
add_library(fmt::fmt ALIAS packed_fmt)
add_library(fmt::fmt-header-only ALIAS packed_fmt)
