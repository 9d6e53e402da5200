// SPDX-License-Identifier: MIT
package libprefork;

/** What each worker does. */
@FunctionalInterface
public interface WorkerFunction {
    /**
     * Runs in a worker, in the thread that called {@link PoolBuilder#start}. The worker exits with
     * status 0 when it returns, and with status 1 if it throws. {@link System#exit} gives another
     * status.
     *
     * @param taskId the task id of this worker, 0 to the number of workers - 1
     * @throws Exception is printed to stderr
     */
    void run(int taskId) throws Exception;
}
