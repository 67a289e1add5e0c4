# tl::expected, from what `tools/gpu --pack` has gathered.
add_library(packed_expected INTERFACE)
target_include_directories(packed_expected SYSTEM INTERFACE "${CMAKE_CURRENT_LIST_DIR}/../../build/packed")
add_library(tl::expected ALIAS packed_expected)
