# One warning set for gcc and clang, as an interface target, plus the sanitizers when asked for.
add_library(einet_warnings INTERFACE)
target_compile_options(einet_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wvla -Wformat=2 -Wnull-dereference
  $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes -Wstrict-prototypes -Wswitch-enum>
  $<$<BOOL:${EINET_WERROR}>:-Werror>)
target_compile_definitions(einet_warnings INTERFACE _GNU_SOURCE)

# Results must not depend on compiler, optimisation or processor.
add_compile_options(-ffp-contract=off)

if(EINET_SANITIZE)
  add_compile_definitions(EINET_SANITIZED)
  add_compile_options(-fsanitize=${EINET_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${EINET_SANITIZE})
  if(EINET_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(EINET_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan) # atomic_thread_fence is not modelled; the rings use acquire/release operations only
  endif()
endif()
