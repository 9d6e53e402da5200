// SPDX-License-Identifier: MIT
#include "os/process/report.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/codes.h"

namespace prefork::os {

namespace {

// A preprocessor that does not know the macro could not read it in one condition.
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 32)
#define PF_HAS_STRERRORDESC
#endif
#endif

const char *description_of(int number) {
#ifdef PF_HAS_STRERRORDESC
    return strerrordesc_np(number);
#else
    return strerror(number);
#endif
}

} // namespace

static_assert(base::code_timed_out == -ETIMEDOUT && base::code_protocol == -EPROTO);

const char *error_text(int error) {
    switch (error) {
    case base::code_gave_up:
        return "Too many restarts";
    case base::code_threads:
        return "Other threads are running";
    case base::code_resolve:
        return "Host name not found";
    case base::code_fatal:
        return "A worker exited with a fatal status";
    default:
        break;
    }
    const int number = error >= 0 || error == INT_MIN ? 0 : -error;
    const char *text = description_of(number);
    return text == nullptr || error == INT_MIN ? "Unknown error" : text;
}

} // namespace prefork::os
