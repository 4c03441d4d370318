/* Several threads in an OpenBLAS that was built for one.
 *
 * OpenBLAS packs matrices into buffers of a table. Its single-threaded builds look for a free one and take it in two
 * steps without a lock (Debian 12's 0.3.21: blas_memory_alloc), so two threads that ask within a few instructions of
 * each other pack into the same buffer, and both multiply a mixture of two networks. This plug-in therefore defines
 * that function and its counterpart itself, with a lock around OpenBLAS's own: of the names in its scope the dynamic
 * linker takes the plug-in's, which comes before the libraries it needs.
 */
#ifndef STAGES_TORCH_BLAS_GUARD_H
#define STAGES_TORCH_BLAS_GUARD_H

namespace einet
{

/* Whether threads may multiply at once: BLAS is no OpenBLAS, or one built for threads, or its buffers come through
 * the lock. The last does not hold where the program loaded a single-threaded OpenBLAS before this plug-in. Multiplies
 * one matrix of 128 x 128 to see. Thread: any, not real-time safe. */
bool is_blas_safe() noexcept;

} // namespace einet

#endif
