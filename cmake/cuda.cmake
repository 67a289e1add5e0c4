# CUDA, for the trainer's kernels (trainer/cuda) and NCCL. A machine without nvcc configures, builds and tests all the
# same. With ON, NCCL is looked for beside the toolkit and in pip's wheels, too.
set(LONGHAUL_CUDA AUTO CACHE STRING
    "The trainer's CUDA kernels: ON, OFF, or AUTO: if nvcc is found and works, unless LONGHAUL_TRAINER is OFF")
if(LONGHAUL_CUDA STREQUAL "OFF" OR LONGHAUL_SANITIZE OR NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU OR
   (LONGHAUL_CUDA STREQUAL "AUTO" AND LONGHAUL_TRAINER STREQUAL "OFF"))
  if(LONGHAUL_CUDA STREQUAL "ON")
    message(FATAL_ERROR "CUDA's parts are built with g++ and without sanitizers")
  endif()
  return()
endif()
set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
# One binary for the cards of 2020 (A40, A6000: sm_86), of 2022 (H100, H200: sm_90) and, by PTX, for later ones.
set(CMAKE_CUDA_ARCHITECTURES "86-real;90" CACHE STRING "What nvcc compiles for")
if(NOT CMAKE_CUDA_COMPILER)  # by the environment: a compiler that is named in the cache is not tried, but trusted
  find_program(LONGHAUL_NVCC nvcc PATHS /usr/local/cuda/bin)
  if(LONGHAUL_NVCC AND NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} "${LONGHAUL_NVCC}")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # the shared one, by name: LibTorch and NCCL have it, too
  if(CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER "${CCACHE}")
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  find_package(CUDAToolkit REQUIRED)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)  # the first with C++20
    message(STATUS "CUDA ${CMAKE_CUDA_COMPILER_VERSION} is older than 12.0")
    set(CMAKE_CUDA_COMPILER NOTFOUND)
  endif()
endif()
if(NOT CMAKE_CUDA_COMPILER AND LONGHAUL_CUDA STREQUAL "ON")
  message(FATAL_ERROR "nvcc is not found, or does not work with ${CMAKE_CXX_COMPILER}: set CMAKE_CUDA_COMPILER")
endif()
# What of LibTorch is CUDA's. Without it the kernels are built and tested by themselves.
if(CMAKE_CUDA_COMPILER AND TARGET longhaul_torch)
  foreach(name torch_cuda c10_cuda)
    find_library(TORCH_LIBRARY_${name} ${name} HINTS "${LONGHAUL_TORCH_ROOT}/lib")
  endforeach()
  if(TORCH_LIBRARY_torch_cuda AND TORCH_LIBRARY_c10_cuda)
    target_compile_definitions(longhaul_torch INTERFACE LONGHAUL_HAS_CUDA_TORCH)
    target_include_directories(longhaul_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
    # Its headers ask for cuBLAS's, cuSPARSE's and more, which a toolkit may lack and pip's wheels have. Behind the
    # toolkit's: what nvcc compiles is to see its own runtime.
    get_filename_component(of_wheel "${LONGHAUL_TORCH_ROOT}/../nvidia/cu13/include" ABSOLUTE)
    if(LONGHAUL_TORCH_ROOT AND IS_DIRECTORY "${of_wheel}")
      target_include_directories(longhaul_torch SYSTEM INTERFACE "${of_wheel}")
    endif()
    # What libtorch_cuda itself needs lies beside it or in other wheels, where it finds it and a linker need not.
    target_link_options(longhaul_torch INTERFACE -Wl,--allow-shlib-undefined)
    target_link_libraries(longhaul_torch INTERFACE
      "-Wl,--push-state,--no-as-needed,${TORCH_LIBRARY_torch_cuda},--pop-state" ${TORCH_LIBRARY_c10_cuda} CUDA::cudart)
  endif()
endif()
