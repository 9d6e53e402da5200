// SPDX-License-Identifier: MIT
#include "os/process/report.h"
#include "prefork.h"

#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *pf_version(void) {
    return VERSION_TEXT(PF_VERSION_MAJOR, PF_VERSION_MINOR, PF_VERSION_PATCH);
}

int pf_version_number(void) {
    return 10'000 * PF_VERSION_MAJOR + 100 * PF_VERSION_MINOR + PF_VERSION_PATCH;
}

const char *pf_strerror(int error) { return prefork::os::error_text(error); }
