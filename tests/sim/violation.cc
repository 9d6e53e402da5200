// SPDX-License-Identifier: MIT
#include "violation.h"

#include <cstdarg>
#include <cstdio>

namespace sim {

jmp_buf violation_escape;
Violation last_violation;
bool tracing = false;

void violate(const char *check, const char *format, ...) {
    std::snprintf(last_violation.check, sizeof(last_violation.check), "%s", check);
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_violation.text, sizeof(last_violation.text), format, arguments);
    va_end(arguments);
    SIM_TRACE("VIOLATED %s: %s", last_violation.check, last_violation.text);
    std::longjmp(violation_escape, 1);
}

void print_trace(const char *format, ...) {
    std::fputs("    # ", stdout);
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
    std::fputc('\n', stdout);
}

} // namespace sim
