# Outside libraries, found once. Everything is the distribution's; tools/setup installs it.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(tl-expected REQUIRED)
if(NOT LONGHAUL_NETSIM_ONLY)
  include(torch)
endif()
if(LONGHAUL_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(LONGHAUL_PARTS STREQUAL "trainer")
  return()  # a machine with GPUs has little else
endif()
find_package(nlohmann_json REQUIRED)
find_package(Boost 1.81 REQUIRED)  # headers: Asio, Beast, CRC, circular_buffer

# Asio and Beast as compiled once per program, not once per file (see lib/io and netsim).
add_library(longhaul_asio_headers INTERFACE)
target_link_libraries(longhaul_asio_headers INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(longhaul_asio_headers INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY)

add_library(longhaul_asio STATIC "${PROJECT_SOURCE_DIR}/cmake/asio_impl.cpp")
target_link_libraries(longhaul_asio PUBLIC longhaul_asio_headers)
target_compile_options(longhaul_asio PRIVATE -std=c++20)

if(NOT LONGHAUL_NETSIM_ONLY)
  find_package(OpenSSL 3.0 REQUIRED)
  find_package(SQLite3 REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
  pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)

  # For programs linked with -static (the streamer that `join --ssh` uploads).
  add_library(longhaul_zmq_static STATIC "${PROJECT_SOURCE_DIR}/streamer/static/zmq_unused.c")
  find_library(ZMQ_ARCHIVE libzmq.a REQUIRED)  # by path: -lzmq would bring -Bdynamic into a -static link
  find_library(SODIUM_ARCHIVE libsodium.a REQUIRED)
  find_library(BSD_ARCHIVE libbsd.a REQUIRED)
  find_library(MD_ARCHIVE libmd.a REQUIRED)
  target_link_libraries(longhaul_zmq_static INTERFACE
    -Wl,--start-group ${ZMQ_ARCHIVE} $<TARGET_FILE:longhaul_zmq_static> ${SODIUM_ARCHIVE}
    ${BSD_ARCHIVE} ${MD_ARCHIVE} -Wl,--end-group Threads::Threads)
endif()
if(LONGHAUL_BENCH)
  find_package(benchmark REQUIRED)
endif()
