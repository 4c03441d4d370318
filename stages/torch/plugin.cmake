# libeinet_torch.so beside the einet executable. Headers and libraries are looked for directly: libtorch's own CMake
# package wants all of its build-time dependencies, and the plug-in needs three libraries. CMAKE_PREFIX_PATH finds a
# PyTorch from elsewhere: its folder "torch", or the "torch/share/cmake" that torch.utils.cmake_prefix_path says.
set(EINET_TORCH_BUILT OFF)
if(NOT EINET_TORCH)
  message(STATUS "libtorch plug-in: off (EINET_TORCH=OFF)")
  return()
endif()
set(EINET_TORCH_HINTS ${CMAKE_PREFIX_PATH})
list(TRANSFORM EINET_TORCH_HINTS REPLACE "/share/cmake/*$" "")
find_path(TORCH_INCLUDE ATen/ATen.h HINTS ${EINET_TORCH_HINTS} PATH_SUFFIXES include)
find_path(TORCH_API_INCLUDE torch/version.h HINTS "${TORCH_INCLUDE}/torch/csrc/api/include")
find_library(TORCH_LIBRARY torch HINTS ${EINET_TORCH_HINTS} PATH_SUFFIXES lib)
find_library(TORCH_CPU_LIBRARY torch_cpu HINTS ${EINET_TORCH_HINTS} PATH_SUFFIXES lib)
find_library(C10_LIBRARY c10 HINTS ${EINET_TORCH_HINTS} PATH_SUFFIXES lib)
if(NOT TORCH_INCLUDE OR NOT TORCH_API_INCLUDE OR NOT TORCH_LIBRARY OR NOT TORCH_CPU_LIBRARY OR NOT C10_LIBRARY)
  message(STATUS "libtorch plug-in: skipped, no libtorch found (apt-get install libtorch-dev libopenblas0-serial); "
                 "emulated networks and everything else still work")
  return()
endif()

enable_language(CXX)
add_library(einet_torch MODULE torch/plugin.cpp torch/blas_guard.cpp torch/lrn.cpp torch/channels_last.cpp
  torch/script.cpp torch/chain.cpp)
# libtorch's headers want C++17, from PyTorch 2.12 on C++20, and say so in an #error.
file(STRINGS "${TORCH_INCLUDE}/ATen/ATen.h" EINET_TORCH_CXX20 REGEX "C\\+\\+20 or later")
if(EINET_TORCH_CXX20)
  target_compile_features(einet_torch PRIVATE cxx_std_20)
else()
  target_compile_features(einet_torch PRIVATE cxx_std_17)
endif()
set_target_properties(einet_torch PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}" CXX_EXTENSIONS OFF
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON INSTALL_RPATH_USE_LINK_PATH ON)
target_include_directories(einet_torch PRIVATE "${CMAKE_BINARY_DIR}/view/stages")
target_include_directories(einet_torch SYSTEM PRIVATE "${TORCH_INCLUDE}" "${TORCH_API_INCLUDE}")
target_compile_options(einet_torch PRIVATE -fno-math-errno $<$<CONFIG:Release>:-O3>)
target_link_libraries(einet_torch PRIVATE einet_public einet_warnings "${TORCH_LIBRARY}" "${TORCH_CPU_LIBRARY}"
  "${C10_LIBRARY}" ${CMAKE_DL_LIBS})
# Inlined into our functions, PyTorch's newer headers set off gcc's analysis of null pointers, system headers or not. An
# interface of its own, since the flag has to come after those of einet_warnings.
add_library(einet_torch_headers INTERFACE)
if(EXISTS "${TORCH_INCLUDE}/torch/headeronly" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(einet_torch_headers INTERFACE -Wno-null-dereference)
endif()
target_link_libraries(einet_torch PRIVATE einet_torch_headers)

# PyTorch's wheels up to 2.6 were built for the old names of std::string, and say so in their CMake package.
get_filename_component(EINET_TORCH_ROOT "${TORCH_INCLUDE}" DIRECTORY)
set(EINET_TORCH_CONFIG "${EINET_TORCH_ROOT}/share/cmake/Torch/TorchConfig.cmake")
if(EXISTS "${EINET_TORCH_CONFIG}")
  file(STRINGS "${EINET_TORCH_CONFIG}" EINET_TORCH_OLD_STRING REGEX "GLIBCXX_USE_CXX11_ABI=0")
  if(EINET_TORCH_OLD_STRING)
    target_compile_definitions(einet_torch PRIVATE _GLIBCXX_USE_CXX11_ABI=0)
  endif()
endif()

include(torch/cuda.cmake)
install(TARGETS einet_torch LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/einet")
set(EINET_TORCH_BUILT ON)
