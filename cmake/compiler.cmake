# Language, warnings and determinism flags, the same for every layer.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# -O2: g++ 12 at -O3 warns falsely in libstdc++. -g1: line tables, small objects. CMake's own value gives way to
# ours; a preset's, or the user's on the command line, stays (the sanitizer builds are made with -O1).
foreach(LANGUAGE CXX C)
  if(CMAKE_${LANGUAGE}_FLAGS_RELEASE STREQUAL "-O3 -DNDEBUG")
    set(CMAKE_${LANGUAGE}_FLAGS_RELEASE "-O2 -g1")
  endif()
endforeach()

find_program(CCACHE ccache)
if(CCACHE)
  # The two allowances are what it asks for to hold objects made with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE}")
endif()
find_program(LLD ld.lld)
if(LLD)
  add_link_options(-fuse-ld=lld)
endif()

add_library(longhaul_flags INTERFACE)
target_compile_features(longhaul_flags INTERFACE cxx_std_20)
if(PROJECT_IS_TOP_LEVEL)  # inside somebody else's project, warnings are theirs to choose
  target_compile_options(longhaul_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C,CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wsign-conversion;-Wshadow>
    $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast> $<$<AND:$<BOOL:${LONGHAUL_WERROR}>,$<COMPILE_LANGUAGE:C,CXX>>:-Werror>)
endif()
target_compile_options(longhaul_flags INTERFACE
  # Simulated runs must give the same bits with every compiler and level.
  $<$<COMPILE_LANGUAGE:C,CXX>:-ffp-contract=off;-fno-fast-math>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # g++ 12 misjudges the allocation of coroutine frames where it inlines them.
  target_compile_options(longhaul_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete>)
  if(LONGHAUL_PARTS STREQUAL "trainer")  # with fmt's source in each file it misjudges the length of a text put before another
    target_compile_options(longhaul_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  endif()
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # A tenth of the time of a compilation is g++ collecting garbage below this many KiB.
  add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:--param=ggc-min-heapsize=524288>)
  # A coroutine's frame may hold what an unnamed namespace declares, also where its file is included in another.
  target_compile_options(longhaul_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
# Asserts of the standard library stay on in release: a bad index must stop, not corrupt a dataset.
target_compile_definitions(longhaul_flags INTERFACE _GLIBCXX_ASSERTIONS)
target_include_directories(longhaul_flags INTERFACE "${PROJECT_SOURCE_DIR}")

if(LONGHAUL_SANITIZE)
  # Global, so that googletest helpers and C parts carry the same instrumentation.
  add_compile_options(-fsanitize=${LONGHAUL_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LONGHAUL_SANITIZE})
  if(LONGHAUL_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=undefined)
    if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
      add_compile_options(-fno-sanitize=function)
    endif()
  endif()
endif()
if(LONGHAUL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
