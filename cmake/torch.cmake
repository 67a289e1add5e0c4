# LibTorch, found by its libraries and headers alone: Debian's package and pip's wheel differ in their CMake
# files, and both of these want more than a program that links needs. LONGHAUL_TORCH_ROOT: the folder that holds
# lib/ and include/ (for a wheel: python3 -c 'import torch, pathlib; print(pathlib.Path(torch.__file__).parent)').
set(LONGHAUL_TORCH_ROOT "" CACHE PATH "Where LibTorch is, if not in the system's folders")
if(LONGHAUL_TRAINER STREQUAL "OFF" OR LONGHAUL_SANITIZE OR NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # clang 14 cannot compile LibTorch 1.13 as C++20; sanitizers want all of a process instrumented.
  if(LONGHAUL_TRAINER STREQUAL "ON")
    message(FATAL_ERROR "the trainer is built with g++ and without sanitizers")
  endif()
  return()
endif()
find_path(TORCH_INCLUDE ATen/ATen.h HINTS "${LONGHAUL_TORCH_ROOT}/include")
foreach(name torch torch_cpu c10)
  find_library(TORCH_LIBRARY_${name} ${name} HINTS "${LONGHAUL_TORCH_ROOT}/lib")
endforeach()
if(TORCH_INCLUDE AND TORCH_LIBRARY_torch AND TORCH_LIBRARY_torch_cpu AND TORCH_LIBRARY_c10)
  add_library(longhaul_torch INTERFACE)
  add_library(longhaul::torch ALIAS longhaul_torch)
  if(NOT TORCH_INCLUDE STREQUAL "/usr/include")  # there by itself; as -isystem it breaks include_next
    target_include_directories(longhaul_torch SYSTEM INTERFACE "${TORCH_INCLUDE}")
  endif()
  target_link_libraries(longhaul_torch INTERFACE
    -Wl,--no-as-needed ${TORCH_LIBRARY_torch} ${TORCH_LIBRARY_torch_cpu} -Wl,--as-needed
    ${TORCH_LIBRARY_c10} Threads::Threads)
elseif(LONGHAUL_TRAINER STREQUAL "ON")
  message(FATAL_ERROR "LibTorch is not found: run tools/setup --trainer, or set LONGHAUL_TORCH_ROOT")
endif()
