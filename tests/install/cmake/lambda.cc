// A user of prefork.hpp: two workers, which are a lambda.
//
// SPDX-License-Identifier: MIT
#include <cstdio>
#include <prefork.hpp>

int main() {
    prefork::Settings settings;
    settings.workers = 2;
    prefork::Pool(settings).run([](int task_id) { std::printf("worker %d\n", task_id); });
}
