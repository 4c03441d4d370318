# cmake -DOUT=file.c -DHTML=... -DCSS=... "-DJS=a.js;b.js" -P embed.cmake: the page's files as C arrays, because a string
# literal may not be longer than 4095 characters in C11.
function(append_array name)
  set(all "")
  foreach(file ${ARGN})
    file(READ "${file}" hex HEX)
    string(APPEND all "${hex}")
  endforeach()
  string(REGEX REPLACE "(................................)" "\\1\n    " all "${all}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," all "${all}")
  # Bytes above 127 do not fit into a signed char without a cast; the page is ASCII and says so here.
  string(REGEX MATCH "0x[89a-f]" beyond "${all}")
  if(beyond)
    message(FATAL_ERROR "${ARGN}: only ASCII characters, please; write others as escapes")
  endif()
  file(APPEND "${OUT}" "const char ${name}[] = {\n    ${all}0x00};\n")
endfunction()

file(WRITE "${OUT}" "/* Made by report/embed.cmake. */\n#include \"report/page_files.h\"\n\n")
append_array(ei_page_html ${HTML})
append_array(ei_page_css ${CSS})
append_array(ei_page_js ${JS})
