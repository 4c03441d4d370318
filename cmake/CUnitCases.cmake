# einet_add_tests(TARGET SOURCES a.c ... [LINKS lib ...] [LABELS unit ...] [ENVIRONMENT K=V ...] [TIMEOUT s])
#
# Builds one CUnit program and registers one CTest entry per EI_TEST(name) in its sources, so that a failure names its
# case. The program runs the one case it is given; exit status 77 means skipped (tests/harness/harness.h).
set(EINET_TEST_ENVIRONMENT "EINET_BUILD_DIR=${CMAKE_BINARY_DIR}")
if(EINET_SANITIZE)
  set(suppressions "${CMAKE_SOURCE_DIR}/tests/sanitizers")
  # intercept_tls_get_addr=0: up to GCC 13 and LLVM 16 the runtime takes a thread-local block of a loaded library that
  # lies 16 bytes into a page for one with a header of glibc 2.19, and LeakSanitizer then reads the range it believes to
  # find there ("Tracer caught signal 11", google/sanitizers issue 1322). Whether a block lies so is the machine's luck.
  list(APPEND EINET_TEST_ENVIRONMENT "ASAN_OPTIONS=intercept_tls_get_addr=0"
    "TSAN_OPTIONS=suppressions=${suppressions}/tsan.supp:halt_on_error=1"
    "LSAN_OPTIONS=suppressions=${suppressions}/lsan.supp:print_suppressions=0")
endif()

function(einet_add_tests target)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;LINKS;LABELS;ENVIRONMENT" ${ARGN})
  add_executable(${target} ${T_SOURCES})
  target_link_libraries(${target} PRIVATE ei_test_harness ${T_LINKS} einet_warnings)
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  if(EINET_SANITIZE) # such builds are several times as slow
    math(EXPR T_TIMEOUT "3 * ${T_TIMEOUT}")
  endif()
  foreach(source ${T_SOURCES})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    file(STRINGS "${source}" lines REGEX "^EI_TEST\\(")
    foreach(line ${lines})
      string(REGEX REPLACE "^EI_TEST\\(([a-z0-9_]+)\\).*" "\\1" case "${line}")
      add_test(NAME ${target}.${case} COMMAND ${target} ${case} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
      set_tests_properties(${target}.${case} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${T_TIMEOUT}
        LABELS "${T_LABELS}" ENVIRONMENT "${EINET_TEST_ENVIRONMENT};${T_ENVIRONMENT}")
    endforeach()
  endforeach()
endfunction()
