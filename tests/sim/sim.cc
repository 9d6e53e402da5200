// Plays histories of faults against the real core and runtime, over a world that is not real.
//
//     sim [--seed N] [--steps N] [--histories N] [--seconds N] [--first N]
//     sim --replay FILE
//
// Without limits it plays for 5 seconds. History number K of a seed is always the same; --first
// begins with another one than number 0. A failure is printed as a history that is as short as it
// can be, with what happens in it as comments; --replay reads it so from a file (- is stdin).
//
// The parts: draw.cc makes histories, host.cc, perform.cc and calls.cc play them with the real
// pool over the system calls of fake_os.cc and fake_rest.cc in the world of world.cc. The model
// says what has to happen, the witness what may never be seen. A check that fails jumps back to
// shrink.cc.
//
// SPDX-License-Identifier: MIT
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "history.h"
#include "random.h"
#include "violation.h"

namespace {

using sim::History;
using sim::Outcome;
using Clock = std::chrono::steady_clock;

struct Arguments {
    uint64_t seed = 0;
    uint64_t steps = 300;
    uint64_t histories = 0; // 0: no limit
    uint64_t seconds = 0;   // 0: no limit
    uint64_t first = 0;
    const char *replay = nullptr;
};

struct Totals {
    uint64_t histories = 0;
    uint64_t operations = 0;
    uint64_t events = 0;
    uint64_t processes = 0;
    uint64_t done = 0;
};

bool read_number(const char *text, uint64_t *ret_number) {
    char *end = nullptr;
    *ret_number = std::strtoull(text, &end, 0);
    return end != text && *end == '\0' && *text != '-';
}

bool read_arguments(int count, char **texts, Arguments *ret_arguments) {
    for (int index = 1; index + 1 < count; index += 2) {
        const char *name = texts[index];
        const char *value = texts[index + 1];
        uint64_t *number = std::strcmp(name, "--seed") == 0        ? &ret_arguments->seed
                           : std::strcmp(name, "--steps") == 0     ? &ret_arguments->steps
                           : std::strcmp(name, "--histories") == 0 ? &ret_arguments->histories
                           : std::strcmp(name, "--seconds") == 0   ? &ret_arguments->seconds
                           : std::strcmp(name, "--first") == 0     ? &ret_arguments->first
                                                                   : nullptr;
        if (std::strcmp(name, "--replay") == 0) {
            ret_arguments->replay = value;
        } else if (number == nullptr || !read_number(value, number)) {
            return false;
        }
    }
    return count % 2 == 1 && ret_arguments->steps <= 10'000'000;
}

uint64_t seed_of(uint64_t seed, uint64_t number) {
    return sim::Random(seed ^ (number * 0xD1342543DE82EF95U)).next();
}

// Says what was violated and tells the history once more, with what happens in it.
void report(History *history) {
    sim::tracing = true;
    sim::print_choices(*history);
    (void)sim::play(*history);
    sim::tracing = false;
    std::printf("# violated: %s: %s\n", sim::last_violation.check, sim::last_violation.text);
}

void report_failure(const Arguments &arguments, uint64_t number, const Outcome &outcome,
                    History *history) {
    std::printf("# FAILED: seed %" PRIu64 ", history %" PRIu64 ", operation %" PRIu64 ": %s: %s\n",
                arguments.seed, number, outcome.operations, sim::last_violation.check,
                sim::last_violation.text);
    std::printf("# again: sim --seed %" PRIu64 " --steps %" PRIu64 " --first %" PRIu64
                " --histories 1\n",
                arguments.seed, arguments.steps, number);
    const size_t before = history->operations.size();
    sim::shrink(history);
    std::printf(
        "# shrunk from %zu to %zu operations; saved, this is a FILE for sim --replay FILE\n",
        before, history->operations.size());
    report(history);
}

int replay(const char *name) {
    FILE *file = std::strcmp(name, "-") == 0 ? stdin : std::fopen(name, "r");
    if (file == nullptr) {
        std::perror(name);
        return 2;
    }
    History history;
    const bool good = sim::read(file, &history);
    if (file != stdin) {
        (void)std::fclose(file);
    }
    if (!good) {
        return 2;
    }
    sim::last_violation = sim::Violation{"nothing", ""};
    const Outcome outcome = sim::play(history);
    report(&history);
    return outcome.failed ? 1 : 0;
}

void print_totals(const Totals &totals, double seconds) {
    const auto rate = [seconds](uint64_t count) {
        return static_cast<uint64_t>(static_cast<double>(count) / seconds);
    };
    std::printf("%" PRIu64 " histories, %" PRIu64 " to their end; %" PRIu64
                " processes, all reaped and told once\n",
                totals.histories, totals.done, totals.processes);
    std::printf("%" PRIu64 " operations, %" PRIu64 " a second; %" PRIu64 " events, %" PRIu64
                " a second; %.1f s\n",
                totals.operations, rate(totals.operations), totals.events, rate(totals.events),
                seconds);
}

int play_all(const Arguments &arguments) {
    const Clock::time_point begin = Clock::now();
    const auto passed = [begin] {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    Totals totals;
    History history;
    for (uint64_t number = arguments.first;; number++) {
        if (arguments.histories != 0 && totals.histories == arguments.histories) {
            break;
        }
        if (arguments.seconds != 0 && number % 64 == 0 &&
            passed() >= static_cast<double>(arguments.seconds)) {
            break;
        }
        sim::draw(&history, seed_of(arguments.seed, number),
                  static_cast<uint32_t>(arguments.steps));
        const Outcome outcome = sim::play(history);
        totals.histories += 1;
        totals.operations += outcome.operations;
        totals.events += outcome.events;
        totals.processes += outcome.processes;
        totals.done += outcome.done ? 1 : 0;
        if (outcome.failed) {
            const uint64_t operations = totals.operations;
            report_failure(arguments, number, outcome, &history);
            std::printf("# found after %" PRIu64 " operations\n", operations);
            return 1;
        }
    }
    print_totals(totals, passed());
    return 0;
}

} // namespace

int main(int count, char **texts) {
    Arguments arguments;
    std::random_device device;
    arguments.seed = device();
    if (!read_arguments(count, texts, &arguments)) {
        (void)std::fprintf(stderr, "usage: sim [--seed N] [--steps N] [--histories N] "
                                   "[--seconds N] [--first N]\n       sim --replay FILE\n");
        return 2;
    }
    if (arguments.replay != nullptr) {
        return replay(arguments.replay);
    }
    if (arguments.histories == 0 && arguments.seconds == 0) {
        arguments.seconds = 5;
    }
    std::printf("# seed %" PRIu64 "\n", arguments.seed);
    (void)std::fflush(stdout);
    return play_all(arguments);
}
