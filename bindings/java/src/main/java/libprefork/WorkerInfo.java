// SPDX-License-Identifier: MIT
package libprefork;

import java.time.Duration;

/**
 * What a pool knows about one worker.
 *
 * @param taskId 0 to the number of slots - 1
 * @param pid 0: no process now
 * @param state what it does
 * @param restarts how often it was restarted; replacements do not count
 * @param uptime since its start
 */
public record WorkerInfo(int taskId, int pid, WorkerState state, int restarts, Duration uptime) {}
