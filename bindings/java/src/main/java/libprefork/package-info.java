// SPDX-License-Identifier: MIT

/**
 * One program becomes a supervisor and a pool of worker processes, which share the listening
 * sockets that were opened before. Each worker has a task id that survives restarts.
 *
 * <p>A JVM cannot fork. Each worker executes the program anew: {@code main} runs again, up to
 * {@link libprefork.PoolBuilder#start}, which calls the worker's function there and never returns.
 * The manual pages prefork(3) and prefork(7) describe the library.
 */
package libprefork;
