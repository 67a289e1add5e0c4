# GoogleTest, built from the sources that `tools/gpu --pack` has gathered.
set(packed "${CMAKE_CURRENT_LIST_DIR}/../../build/packed")
add_library(packed_gmock_main STATIC EXCLUDE_FROM_ALL "${packed}/googletest/src/gtest-all.cc"
  "${packed}/googlemock/src/gmock-all.cc" "${packed}/googlemock/src/gmock_main.cc")
foreach(part googletest googlemock)
  target_include_directories(packed_gmock_main SYSTEM PUBLIC "${packed}/${part}/include")
  target_include_directories(packed_gmock_main PRIVATE "${packed}/${part}")
endforeach()
target_link_libraries(packed_gmock_main PUBLIC Threads::Threads)
add_library(GTest::gmock_main ALIAS packed_gmock_main)
