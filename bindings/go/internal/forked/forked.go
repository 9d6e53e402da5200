// SPDX-License-Identifier: MIT

// Package forked does, for tests, what Go itself never does: it forks, and uses a pool in the
// child, which runs nothing but C.
package forked

/*
#cgo pkg-config: prefork
#include <errno.h>
#include <prefork.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 6 };

// The child's status has one bit for each call that was not refused with -ECHILD.
static int use_in_child(pf_pool *pool) {
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		const pf_event *event = NULL;
		int results[CALLS] = {pf_pool_stop(pool), pf_pool_resize(pool, 1),
				      pf_pool_send_signal(pool, -1, 9), pf_pool_dispatch(pool, 0),
				      pf_pool_next_event(pool, &event),
				      pf_pool_handle_signal(pool, 15)};
		for (int i = 0; i < CALLS; i++) {
			status |= results[i] == -ECHILD ? 0 : 1 << i;
		}
		pf_pool_free(pool);
		_exit(status);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
		return -1;
	}
	return WEXITSTATUS(status);
}
*/
import "C"

import "unsafe"

// UseInChild returns 0 if every function refused the pool in a forked child.
func UseInChild(pool unsafe.Pointer) int { return int(C.use_in_child((*C.pf_pool)(pool))) }
