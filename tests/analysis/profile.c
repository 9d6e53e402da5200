// Linked into whatever is measured. The counters are mapped before any other constructor runs,
// those of the library included. The mapping is shared, so that children count wherever and
// however they end.
//
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <stdlib.h>

extern char **environ;

// Only what is compiled with counters has it.
__attribute__((weak)) void __llvm_profile_initialize(void);

// It sets a variable. The library looks at the environment as the kernel made it, so that one is
// put back; another one may have been moved.
__attribute__((constructor(101))) static void map_early(int count, char **arguments) {
    if (__llvm_profile_initialize) {
        char **given = environ;
        __llvm_profile_initialize();
        if (given == arguments + count + 1) {
            environ = given;
        } else {
            unsetenv("__LLVM_PROFILE_RT_INIT_ONCE");
        }
    }
}
