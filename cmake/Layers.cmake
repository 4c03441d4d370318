# The layer check. Every header is included by its path from the root ("rt/clock.h"), but the root is on nobody's
# include path. Instead each folder has a view, a directory that holds nothing but a link to that folder, and a module
# gets the views of the folders that it names in SEES. Any other include does not compile.
#
#   einet_module(NAME SOURCES a.c b.c [SEES rt ...] [LINKS lib ...] [PUBLIC_LINKS lib ...])
#
# makes the static library ei_NAME from the folder NAME. SEES is public: who sees a module also sees what its headers use.

# The agreed layers, lowest first; a module may see only folders of a lower layer (docs/architecture.md).
set(EINET_LAYER_include 0)
set(EINET_LAYER_rt 1)
set(EINET_LAYER_planner 2)
set(EINET_LAYER_workloads 2)
set(EINET_LAYER_scheduler 2)
set(EINET_LAYER_stages 2)
set(EINET_LAYER_metrics 2)
set(EINET_LAYER_models 3)
set(EINET_LAYER_engine 3)
set(EINET_LAYER_doctor 3)
set(EINET_LAYER_report 3)
set(EINET_LAYER_command 3)
set(EINET_LAYER_app 4)
set(EINET_LAYER_library 4)

function(einet_view folder)
  set(view "${CMAKE_BINARY_DIR}/view/${folder}")
  if(NOT EXISTS "${view}/${folder}")
    file(MAKE_DIRECTORY "${view}")
    file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${folder}" "${view}/${folder}" SYMBOLIC)
  endif()
endfunction()

function(einet_module name)
  cmake_parse_arguments(M "" "" "SOURCES;SEES;LINKS;PUBLIC_LINKS" ${ARGN})
  set(target ei_${name})
  add_library(${target} STATIC ${M_SOURCES})
  einet_view(${name})
  target_include_directories(${target} PUBLIC "${CMAKE_BINARY_DIR}/view/${name}")
  target_link_libraries(${target} PUBLIC einet_public ${M_PUBLIC_LINKS} PRIVATE einet_warnings ${M_LINKS})
  foreach(seen ${M_SEES})
    if(NOT EINET_LAYER_${seen} LESS EINET_LAYER_${name})
      message(FATAL_ERROR "layer check: ${name} (layer ${EINET_LAYER_${name}}) may not see ${seen} "
                          "(layer ${EINET_LAYER_${seen}}); see docs/architecture.md")
    endif()
    target_link_libraries(${target} PUBLIC ei_${seen})
  endforeach()
endfunction()
