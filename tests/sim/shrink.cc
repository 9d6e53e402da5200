// Playing a history, and making one that fails as short as it can be.
//
// SPDX-License-Identifier: MIT
#include <cstring>

#include "history.h"
#include "host.h"
#include "violation.h"

namespace sim {

namespace {

// Whether it still fails in the same way.
bool fails_so(const History &history, const char *check) {
    return play(history).failed && std::strcmp(last_violation.check, check) == 0;
}

// Leaves out chunks, large ones first.
bool leave_out(History *history, const char *check) {
    bool any = false;
    for (size_t size = history->operations.size(); size > 0; size /= 2) {
        for (size_t first = 0; first < history->operations.size();) {
            History shorter = *history;
            const size_t left = shorter.operations.size() - first;
            const auto begin = shorter.operations.begin() + static_cast<ptrdiff_t>(first);
            shorter.operations.erase(begin,
                                     begin + static_cast<ptrdiff_t>(size < left ? size : left));
            if (fails_so(shorter, check)) {
                *history = shorter;
                any = true;
            } else {
                first += size;
            }
        }
    }
    return any;
}

bool lower(History *history, uint32_t Operation::*number, size_t index, const char *check) {
    constexpr uint32_t moduli[] = {1, 2, 4, 8, 16, 64, 1024};
    const uint32_t before = history->operations[index].*number;
    for (const uint32_t modulus : moduli) {
        if (before % modulus == before) {
            break;
        }
        history->operations[index].*number = before % modulus;
        if (fails_so(*history, check)) {
            return true;
        }
    }
    history->operations[index].*number = before;
    return false;
}

bool simplify(History *history, const char *check) {
    bool any = false;
    for (size_t index = 0; index < static_cast<size_t>(Choice::count); index++) {
        const int64_t before = history->choices[index];
        const int64_t plain = plain_value(static_cast<Choice>(index));
        if (before == plain) {
            continue;
        }
        history->choices[index] = plain;
        if (fails_so(*history, check)) {
            any = true;
        } else {
            history->choices[index] = before;
        }
    }
    for (int64_t workers = 1; workers < history->get(Choice::workers); workers++) {
        History smaller = *history;
        smaller.set(Choice::workers, workers);
        if (fails_so(smaller, check)) {
            *history = smaller;
            any = true;
        }
    }
    for (size_t index = 0; index < history->operations.size(); index++) {
        any = lower(history, &Operation::a, index, check) || any;
        any = lower(history, &Operation::b, index, check) || any;
        any = lower(history, &Operation::c, index, check) || any;
    }
    return any;
}

} // namespace

Outcome play(const History &history) {
    if (setjmp(violation_escape) == 0) {
        host.play(history);
    } else {
        host.fail();
    }
    const Outcome outcome = host.outcome();
    host.clear();
    return outcome;
}

void shrink(History *history) {
    char check[sizeof(last_violation.check)];
    std::memcpy(check, last_violation.check, sizeof(check));
    for (uint32_t round = 0; round < 8; round++) {
        const bool shorter = leave_out(history, check);
        const bool simpler = simplify(history, check);
        if (!shorter && !simpler) {
            break;
        }
    }
}

} // namespace sim
