# Every library that is not ours, found once. A missing required one is named with its Debian package.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(einet_require target module package)
  pkg_check_modules(${target} QUIET IMPORTED_TARGET ${module})
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${module} not found: apt-get install ${package} (or call ./run, which installs it)")
  endif()
endfunction()

einet_require(HWLOC hwloc libhwloc-dev)
einet_require(YAML yaml-0.1 libyaml-dev)
einet_require(JANSSON jansson libjansson-dev)
einet_require(PNG libpng libpng-dev)
einet_require(TURBOJPEG libturbojpeg libturbojpeg0-dev)
einet_require(MD libmd libmd-dev)
einet_require(ZLIB zlib zlib1g-dev)

# Optional: the HTTP server of `outputs.metrics`. A run that asks for it without says which package is missing.
if(EINET_METRICS_HTTP)
  pkg_check_modules(MICROHTTPD QUIET IMPORTED_TARGET libmicrohttpd>=0.9.72)
else()
  set(MICROHTTPD_FOUND FALSE)
endif()
if(EINET_METRICS_HTTP AND NOT MICROHTTPD_FOUND)
  message(STATUS "libmicrohttpd not found (apt-get install libmicrohttpd-dev): einet run cannot serve metrics")
endif()

if(EINET_TESTS)
  einet_require(CUNIT cunit libcunit1-dev)
endif()
