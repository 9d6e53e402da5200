// A planted race: two threads count without a lock. The tools must report it, or they would not
// report those of the library either.
//
// SPDX-License-Identifier: MIT
#include <pthread.h>
#include <stddef.h>

static int counter;

static void *count(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        counter++;
    }
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, count, NULL) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    return counter > 0 ? 0 : 1;
}
