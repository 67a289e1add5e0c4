# Some presets compile up to sixteen sources of a target as one (a build from nothing then takes a third of the time).
# What ALONE names is compiled by itself: its local names, or its system headers, do not agree with its neighbours'.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)
if(LONGHAUL_PARTS STREQUAL "trainer")  # built on machines with GPUs, whose many cores would wait for the largest batch
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 4)
endif()
function(longhaul_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# add_layer(base SOURCES a.cpp .. USES x y [LINK libs..] [ALONE a.cpp ..])
#
# One folder, one layer, one target `longhaul::NAME`. A layer may use only layers declared before it, so
# the graph has no circle; `tools/tidy` compares USES with the folder's includes. LINK names outside
# libraries.
function(add_layer NAME)
  cmake_parse_arguments(LAYER "" "" "SOURCES;USES;LINK;ALONE" ${ARGN})
  longhaul_alone(${LAYER_ALONE})
  set(target "longhaul_${NAME}")
  add_library(${target} STATIC ${LAYER_SOURCES})
  add_library(longhaul::${NAME} ALIAS ${target})
  target_link_libraries(${target} PUBLIC longhaul_flags)
  foreach(used IN LISTS LAYER_USES)
    if(NOT TARGET longhaul::${used})
      message(FATAL_ERROR "layer ${NAME} uses ${used}, which is not declared before it")
    endif()
    target_link_libraries(${target} PUBLIC longhaul::${used})
  endforeach()
  target_link_libraries(${target} PUBLIC ${LAYER_LINK})
endfunction()

# What a preset builds to run one label: `ninja unit_tests`, `io_tests`, .., and `fuzz_targets`.
if(LONGHAUL_TESTS)  # not inside somebody else's project, where the names may be taken
  foreach(label unit sim io e2e gpu)
    add_custom_target(${label}_tests)
  endforeach()
  add_custom_target(fuzz_targets)
endif()

# In a build from nothing, a seventh of a test's compilation is GoogleTest and the standard library: read once for all.
# Only there, as a header that is always there hides that it is not asked for. Not where the trainer is built alone: its few
# tests would wait for the program that owns the header.
function(longhaul_precompile NAME)
  get_target_property(sources ${NAME} SOURCES)
  if(NOT CMAKE_UNITY_BUILD OR NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU OR LONGHAUL_SANITIZE OR sources MATCHES "\\.c(;|$)"
     OR LONGHAUL_PARTS STREQUAL "trainer")
    return()
  endif()
  get_property(owner GLOBAL PROPERTY LONGHAUL_PRECOMPILED)
  if(owner)
    target_precompile_headers(${NAME} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${NAME} PRIVATE <algorithm> <chrono> <filesystem> <functional> <map> <memory> <optional>
      <random> <span> <unordered_map> <variant> <fmt/format.h> <gtest/gtest.h>)
    set_property(GLOBAL PROPERTY LONGHAUL_PRECOMPILED ${NAME})
  endif()
  target_compile_options(${NAME} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)  # ccache needs it
endfunction()

# add_layer_test(NAME SOURCES .. USES .. LABEL unit|sim|io|e2e|gpu [TIMEOUT s] [LINK libs..] [ALONE a.cpp ..])
# One GoogleTest program; each TEST becomes one ctest entry carrying LABEL.
function(add_layer_test NAME)
  cmake_parse_arguments(CHECK "" "LABEL;TIMEOUT" "SOURCES;USES;LINK;ALONE" ${ARGN})
  longhaul_alone(${CHECK_ALONE})
  if(NOT CHECK_TIMEOUT)
    set(CHECK_TIMEOUT 120)
  endif()
  add_executable(${NAME} ${CHECK_SOURCES})
  foreach(used IN LISTS CHECK_USES)
    target_link_libraries(${NAME} PRIVATE longhaul::${used})
  endforeach()
  target_link_libraries(${NAME} PRIVATE longhaul_flags GTest::gmock_main ${CHECK_LINK})
  longhaul_precompile(${NAME})
  # Only files that ask for them are told where they lie: what a compiler cache holds of the others fits every clone.
  foreach(source IN LISTS CHECK_SOURCES)
    file(STRINGS ${source} asks REGEX "LONGHAUL_(SOURCE|BUILD)_DIR" LIMIT_COUNT 1)
    if(asks)
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS
        LONGHAUL_SOURCE_DIR="${PROJECT_SOURCE_DIR}" LONGHAUL_BUILD_DIR="${PROJECT_BINARY_DIR}")
    endif()
  endforeach()
  # Listed when they are asked for: a program that cannot start here, or only slowly, must not end the build.
  gtest_discover_tests(${NAME} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
    PROPERTIES LABELS ${CHECK_LABEL} TIMEOUT ${CHECK_TIMEOUT})
  add_dependencies(${CHECK_LABEL}_tests ${NAME})
endfunction()

# add_fuzz(NAME SOURCES x.cpp USES .. [LINK libs..]): a libFuzzer target under LONGHAUL_FUZZ, else a replayer of its corpus.
function(add_fuzz NAME)
  cmake_parse_arguments(FUZZ "" "" "SOURCES;USES;LINK" ${ARGN})
  if(LONGHAUL_FUZZ)
    add_executable(fuzz_${NAME} ${FUZZ_SOURCES})
    target_link_options(fuzz_${NAME} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${NAME} ${FUZZ_SOURCES} "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
    file(GLOB corpus CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${NAME}/*")
    add_test(NAME fuzz.${NAME} COMMAND fuzz_${NAME} ${corpus})
    set_tests_properties(fuzz.${NAME} PROPERTIES LABELS unit TIMEOUT 120)
    add_dependencies(unit_tests fuzz_${NAME})
  endif()
  foreach(used IN LISTS FUZZ_USES)
    target_link_libraries(fuzz_${NAME} PRIVATE longhaul::${used})
  endforeach()
  target_link_libraries(fuzz_${NAME} PRIVATE longhaul_flags ${FUZZ_LINK})
  add_dependencies(fuzz_targets fuzz_${NAME})
endfunction()
