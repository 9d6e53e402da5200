// SPDX-License-Identifier: MIT

// Package prefork makes a program into a set of worker processes that share its listening
// sockets, and a supervisor that starts a worker anew, with the same task id, when it crashes.
// It binds libprefork, which has to be installed where pkg-config finds it.
//
// # How it works
//
// A Go program cannot fork, so each worker is the program started anew, with the same arguments
// and environment. It runs through the same lines as the supervisor did, and finds out which it
// is at one call: [ForkProcesses] or [Pool.Run] supervise in the supervisor, and return a task
// id in a worker. What stands before that call runs in both. [Listen] opens a socket in the
// supervisor, and finds the same socket in the workers.
//
// Whatever happens to the supervisor, a worker that has made that call does not outlive it: it
// gets SIGTERM, or the signal of [WithParentDeathSignal].
//
// # Stopping
//
// A worker is asked to end by its stop descriptor, which [StopContext] waits for, and by
// SIGTERM. One that does not care ends by SIGTERM at once; one that uses StopContext finishes
// what it has begun, within the time of [WithStop].
//
// # Signals
//
// The library leaves the signals of a Go program to Go. [ForkProcesses] and pools
// with [WithSignals] take theirs by os/signal while they supervise, except those that are
// ignored. SIGCHLD is left alone, and children that os/exec has started are not waited for.
//
// # Upgrades
//
// [Pool.Reload] replaces the workers, [Pool.Upgrade] the supervisor.
//
// # What is different from C
//
// pf_pool_set_reap_orphans and pf_pool_set_thread_policy are not there: the first cannot tell children
// that other goroutines start from orphans, and the second is for forks. [WithSignals] takes
// SIGTTIN and SIGTTOU in a process without a terminal only. Workers have the limit on open files that the program
// had before Go raised it, and raise it themselves; those of another program, by [WithCommand],
// have the raised one.
//
// # Threads
//
// All functions may be called from any goroutine, and the methods of a [Pool] at the same time.
package prefork

// #cgo pkg-config: prefork
// #include "shim.h"
import "C"
