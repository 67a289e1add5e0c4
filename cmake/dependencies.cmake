# Outside libraries, found once. Everything is the distribution's; tools/setup installs it.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
# A program with the property LONGHAUL_STATIC is linked from archives alone (the streamer that
# `join --ssh` uploads: it needs no file of the host it lands on); all others link the distribution's
# shared libraries, so that its security updates reach them.
function(longhaul_either NAME SHARED)
  add_library(${NAME} INTERFACE)
  set(static "$<BOOL:$<TARGET_PROPERTY:LONGHAUL_STATIC>>")
  target_link_libraries(${NAME} INTERFACE "$<IF:${static},${ARGN},${SHARED}>")
endfunction()
add_library(longhaul_fmt_functions STATIC EXCLUDE_FROM_ALL
  "${PROJECT_SOURCE_DIR}/streamer/static/fmt_functions.cpp")
# "pure": with another standard library than the distribution's; "trainer": it runs where there is LibTorch and no libfmt.
if(LONGHAUL_PARTS MATCHES "^(pure|trainer)$")
  add_library(longhaul_fmt ALIAS fmt::fmt-header-only)
else()
  longhaul_either(longhaul_fmt fmt::fmt longhaul_fmt_functions)
endif()
find_package(tl-expected REQUIRED)
if(NOT LONGHAUL_NETSIM_ONLY)
  include(torch)
  if(NOT LONGHAUL_PARTS STREQUAL "pure")
    include(cuda)
  endif()
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

# Asio and Beast as compiled once per program, not once per file (see lib/io and netsim). Asio takes its memory from
# `new`, so that one handler decides what becomes of a program that is refused any (lib/io/own_limits.hpp).
add_library(longhaul_asio_headers INTERFACE)
target_link_libraries(longhaul_asio_headers INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(longhaul_asio_headers INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_VISIBILITY
  BOOST_ASIO_DISABLE_STD_ALIGNED_ALLOC BOOST_ASIO_DISABLE_BOOST_ALIGN)

add_library(longhaul_asio STATIC "${PROJECT_SOURCE_DIR}/cmake/asio_impl.cpp")
target_link_libraries(longhaul_asio PUBLIC longhaul_asio_headers)
target_compile_options(longhaul_asio PRIVATE -std=c++20)

if(NOT LONGHAUL_NETSIM_ONLY)
  find_package(OpenSSL 3.0 REQUIRED)
  find_package(SQLite3 REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
  pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)

  find_package(tomlplusplus REQUIRED)
  add_library(longhaul_toml_functions STATIC EXCLUDE_FROM_ALL
    "${PROJECT_SOURCE_DIR}/streamer/static/toml_functions.cpp")
  target_compile_definitions(longhaul_toml_functions PRIVATE TOML_HEADER_ONLY=0 TOML_IMPLEMENTATION=1)
  longhaul_either(longhaul_toml tomlplusplus::tomlplusplus longhaul_toml_functions)
  find_library(SSL_ARCHIVE libssl.a REQUIRED)
  find_library(CRYPTO_ARCHIVE libcrypto.a REQUIRED)
  find_library(SQLITE_ARCHIVE libsqlite3.a REQUIRED)
  find_library(ZSTD_ARCHIVE libzstd.a REQUIRED)
  find_library(Z_ARCHIVE libz.a)  # Debian 13's libcrypto.a asks for it, 12's does not
  longhaul_either(longhaul_openssl "OpenSSL::SSL;OpenSSL::Crypto" ${SSL_ARCHIVE} ${CRYPTO_ARCHIVE}
                  $<$<BOOL:${Z_ARCHIVE}>:${Z_ARCHIVE}>)
  longhaul_either(longhaul_sqlite SQLite::SQLite3 ${SQLITE_ARCHIVE})
  longhaul_either(longhaul_zstd PkgConfig::ZSTD ${ZSTD_ARCHIVE})

  # The streamer speaks ZeroMQ too; an archive of Debian's libzmq needs what it never uses.
  add_library(longhaul_zmq_static STATIC "${PROJECT_SOURCE_DIR}/streamer/static/zmq_unused.c")
  find_library(ZMQ_ARCHIVE libzmq.a REQUIRED)  # by path: -lzmq would bring -Bdynamic into a -static link
  find_library(SODIUM_ARCHIVE libsodium.a REQUIRED)
  find_library(BSD_ARCHIVE libbsd.a REQUIRED)
  find_library(MD_ARCHIVE libmd.a REQUIRED)
  target_link_libraries(longhaul_zmq_static INTERFACE
    -Wl,--start-group ${ZMQ_ARCHIVE} $<TARGET_FILE:longhaul_zmq_static> ${SODIUM_ARCHIVE}
    ${BSD_ARCHIVE} ${MD_ARCHIVE} -Wl,--end-group Threads::Threads)
  longhaul_either(longhaul_zmq PkgConfig::ZMQ longhaul_zmq_static)
endif()
if(LONGHAUL_BENCH)
  find_package(benchmark REQUIRED)
endif()
