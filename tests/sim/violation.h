// A check that failed ends its history at once.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <csetjmp>

namespace sim {

struct Violation {
    char check[48];
    char text[400];
};

// Where violate() goes to, out of the library in whose midst it may be.
extern jmp_buf violation_escape;
extern Violation last_violation;

[[noreturn]] void violate(const char *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

inline void require(bool condition, const char *check, const char *text) {
    if (!condition) [[unlikely]] {
        violate(check, "%s", text);
    }
}

// Comments to a history that is told line by line.
extern bool tracing;
void print_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace sim

// The arguments are worked out only when somebody reads them.
#define SIM_TRACE(...)                                                                             \
    do {                                                                                           \
        if (sim::tracing) {                                                                        \
            sim::print_trace(__VA_ARGS__);                                                         \
        }                                                                                          \
    } while (false)
