// SPDX-License-Identifier: MIT
package libprefork;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;

/**
 * This process as a worker. Any thread may call these methods; in a process that is not a worker
 * they throw a {@link PreforkException} with ECHILD, unless another result is named.
 *
 * <p>A worker must stop when its supervisor requests it, or has ended. By default it then ends as a
 * JVM does at SIGTERM: shutdown hooks run, and the status is 143. A worker that has called
 * {@link #onStop}, {@link #awaitStop} or {@link #isStopping} decides by itself when it ends.
 * SIGTERM then only requests the stop; SIGINT and SIGHUP have no effect. If the worker takes longer
 * than {@link PoolBuilder#stopTimeout} it is killed. A SIGTERM of another process ends it with
 * status 143, after which it is restarted.
 *
 * <p>The variables that name a worker, {@code PF_...}, are removed from its environment when this
 * package is first used. A worker that calls {@link System#getenv} before removes them from
 * {@link ProcessBuilder#environment} itself: a program there that uses libprefork fails with ESRCH.
 */
public final class Worker {
    private static volatile boolean hasRun;

    private Worker() {}

    /**
     * Returns the task id of this worker, which a worker that is restarted has again.
     *
     * @return the task id; -1: this process is not a worker; -2: it is a spare
     */
    public static int taskId() {
        return Native.integer("pf_task_id");
    }

    /**
     * Returns the name of the pool of this worker.
     *
     * @return the name; null in a process that is not a worker
     */
    public static String poolName() {
        return Native.string("pf_worker_pool_name");
    }

    /** Reports to the supervisor that this worker can serve. */
    public static void ready() {
        PreforkException.check("ready", Native.integer("pf_worker_ready"));
    }

    /** Reports to the supervisor that this worker makes progress. */
    public static void heartbeat() {
        PreforkException.check("heartbeat", Native.integer("pf_worker_heartbeat"));
    }

    /**
     * Requests a replacement of this worker, for example because its memory has grown too large.
     * It works on until it is asked to stop.
     */
    public static void retire() {
        PreforkException.check("retire", Native.integer("pf_worker_retire"));
    }

    /**
     * Finds a descriptor of {@link PoolBuilder#fd}.
     *
     * @param name its name
     * @return the descriptor, such as for {@link Listener#of}
     */
    public static int fd(String name) {
        return PreforkException.check("fd " + name,
                Native.integer("pf_worker_fd", Checks.text("fd", name)));
    }

    /**
     * Returns the descriptor that becomes readable when this worker must stop. It belongs to the
     * library; do not read from it.
     *
     * @return the descriptor
     */
    public static int stopFd() {
        return PreforkException.check("stop descriptor", Native.integer("pf_worker_stop_fd"));
    }

    /**
     * Has an action run when this worker must stop, in a thread of its own; at once if it must stop
     * already. Register it before {@link #ready}. The worker waits for it when its function has
     * returned.
     *
     * @param action what to do
     */
    public static void onStop(Runnable action) {
        WorkerStop.of().onStop(action);
    }

    /**
     * Tells whether this worker must stop.
     *
     * @return whether it must
     */
    public static boolean isStopping() {
        return WorkerStop.of().isStopping();
    }

    /**
     * Waits until this worker must stop.
     *
     * @throws InterruptedException if this thread is interrupted
     */
    public static void awaitStop() throws InterruptedException {
        awaitStop(Duration.ofDays(36500));
    }

    /**
     * Waits until this worker must stop, or the time is over.
     *
     * @param timeout the longest time
     * @return whether it must stop
     * @throws InterruptedException if this thread is interrupted
     */
    public static boolean awaitStop(Duration timeout) throws InterruptedException {
        return WorkerStop.of().await(timeout);
    }

    /** Whether this process was started as a worker of the pool and has not begun to work. */
    static boolean isExpected(String name) {
        String own = poolName();
        if (own == null || hasRun) {
            return false;
        }
        if (!own.equals(name)) {
            throw new IllegalStateException("this process is a worker of the pool \"" + own
                    + "\" and has to start that pool before the pool \"" + name + "\"");
        }
        return true;
    }

    /** Becomes the worker. Never returns normally. */
    static void run(PoolHandle handle, WorkerFunction function, Duration stopTimeout) {
        if (function == null) {
            throw new IllegalStateException("a worker of this pool has no worker() to run");
        }
        Descriptors.closeInherited();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment taskId = arena.allocate(ValueLayout.JAVA_INT);
            PreforkException.check("worker",
                    Native.integer("pf_pool_run", handle.open(), taskId));
            hasRun = true;
            WorkerStop.start(stopTimeout);
            System.exit(run(function, taskId.get(ValueLayout.JAVA_INT, 0)));
        }
    }

    private static int run(WorkerFunction function, int taskId) {
        try {
            function.run(taskId);
        } catch (Throwable e) {
            // Its interrupt may be its way to stop.
            if (!(e instanceof InterruptedException && WorkerStop.isStoppingNow())) {
                e.printStackTrace();
                return 1;
            }
        }
        return WorkerStop.status();
    }
}
