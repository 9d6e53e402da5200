// SPDX-License-Identifier: MIT
#include "os/report.h"
#include "prefork.h"

#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *pf_version(void) {
    return VERSION_TEXT(PF_VERSION_MAJOR, PF_VERSION_MINOR, PF_VERSION_PATCH);
}

const char *pf_strerror(int error) {
    switch (error) {
    case PF_EGAVEUP:
        return "Too many restarts";
    case PF_ETHREADS:
        return "Other threads are running";
    case PF_ERESOLVE:
        return "Host name not found";
    case PF_EFATAL:
        return "A worker exited with the fatal status";
    default:
        return prefork::os::error_text(error);
    }
}
