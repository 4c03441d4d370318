/* What the plug-in's C++ files share: the tensor behind a handle, and the wall that no exception passes. */
#ifndef STAGES_TORCH_GUARDED_H
#define STAGES_TORCH_GUARDED_H

#include <ATen/ATen.h>
#include <cerrno>
#include <einet/error.h>
#include <exception>
#include <new>
#include <string>

struct ei_torch_tensor {
    at::Tensor value;
};

namespace einet
{

extern thread_local std::string last_error; /* what error_text() returns */

/* Run body, turn whatever it throws into a code and a text. */
template <typename Body> int guarded(Body body) noexcept
{
    try {
        last_error.clear();
        body();
        return 0;
    } catch (const std::bad_alloc &) {
        return -ENOMEM;
    } catch (const c10::Error &e) {
        try {
            last_error = e.what_without_backtrace();
        } catch (...) {
            return -ENOMEM;
        }
    } catch (const std::exception &e) {
        try {
            last_error = e.what();
        } catch (...) {
            return -ENOMEM;
        }
    } catch (...) {
        last_error.clear();
    }
    return EINET_E_BACKEND;
}

} // namespace einet

#endif
