# The CUDA section of libeinet_torch.so: built where libtorch has CUDA, is new enough to hand out what it records
# (2.8), and the headers of the CUDA toolkit of its major version are there. Elsewhere the section says what is missing.
set(EINET_TORCH_CUDA_MISSING "")
find_library(TORCH_CUDA_LIBRARY torch_cuda HINTS ${EINET_TORCH_HINTS} PATH_SUFFIXES lib)
find_library(C10_CUDA_LIBRARY c10_cuda HINTS ${EINET_TORCH_HINTS} PATH_SUFFIXES lib)
find_path(EINET_CUDART_INCLUDE cuda_runtime_api.h
  HINTS "${CUDAToolkit_ROOT}" ENV CUDAToolkit_ROOT ENV CUDA_HOME "${EINET_TORCH_ROOT}/../nvidia/cu13" /usr/local/cuda PATH_SUFFIXES include)
set(EINET_TORCH_GRAPH_HEADER "${TORCH_INCLUDE}/ATen/cuda/CUDAGraph.h")
set(EINET_TORCH_GRAPHS "")
if(EXISTS "${EINET_TORCH_GRAPH_HEADER}")
  file(STRINGS "${EINET_TORCH_GRAPH_HEADER}" EINET_TORCH_GRAPHS REGEX "cudaGraph_t raw_cuda_graph")
endif()
if(NOT TORCH_CUDA_LIBRARY OR NOT C10_CUDA_LIBRARY)
  set(EINET_TORCH_CUDA_MISSING "this libtorch was built without CUDA")
elseif(NOT EINET_TORCH_GRAPHS)
  set(EINET_TORCH_CUDA_MISSING "this libtorch is older than PyTorch 2.8")
elseif(NOT EINET_CUDART_INCLUDE)
  set(EINET_TORCH_CUDA_MISSING "the headers of the CUDA toolkit were not there when it was built")
endif()

if(EINET_TORCH_CUDA_MISSING)
  message(STATUS "libtorch plug-in: on the CPU only, ${EINET_TORCH_CUDA_MISSING}")
  target_sources(einet_torch PRIVATE torch/no_cuda.cpp)
  set_source_files_properties(torch/no_cuda.cpp PROPERTIES
    COMPILE_DEFINITIONS "EINET_TORCH_CUDA_MISSING=\"${EINET_TORCH_CUDA_MISSING}\"")
else()
  message(STATUS "libtorch plug-in: with CUDA (${TORCH_CUDA_LIBRARY})")
  target_sources(einet_torch PRIVATE torch/cuda.cpp)
  target_include_directories(einet_torch SYSTEM PRIVATE "${EINET_CUDART_INCLUDE}")
  # libtorch's headers ask for those of cuBLAS, cuSPARSE and cuSOLVER, which a small toolkit lacks and which come with
  # PyTorch's own dependencies. Behind the toolkit's: both have the runtime's.
  if(EXISTS "${EINET_TORCH_ROOT}/../nvidia/cu13/include")
    target_compile_options(einet_torch PRIVATE "SHELL:-idirafter ${EINET_TORCH_ROOT}/../nvidia/cu13/include")
  endif()
  # Nothing refers to what registers the CUDA kernels, so a linker that drops unneeded libraries must be told to keep
  # it. The CUDA runtime is the one that libtorch itself brings along.
  target_link_libraries(einet_torch PRIVATE -Wl,--push-state,--no-as-needed "${TORCH_CUDA_LIBRARY}"
    "${C10_CUDA_LIBRARY}" -Wl,--pop-state)
endif()
