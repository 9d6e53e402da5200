/*
 * error_name.h - the name of an error, such as ENOSYS; of a header alone, for programs without more
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TESTS_SUPPORT_ERROR_NAME_H
#define TESTS_SUPPORT_ERROR_NAME_H

#include <string.h>

/* musl has no names of errors, only texts. */
static inline const char *error_name(int error) {
#ifdef __GLIBC__
    return strerrorname_np(error);
#else
    return strerror(error);
#endif
}

#endif
