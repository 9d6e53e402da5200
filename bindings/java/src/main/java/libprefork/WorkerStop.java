// SPDX-License-Identifier: MIT
package libprefork;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Watches the stop descriptor of this worker in a thread. Without it a worker would outlive a
 * supervisor that is killed: the kernel sends no death signal for a supervisor whose pool does not
 * run in the main thread of its process.
 */
final class WorkerStop {
    private static final int STATUS_OF_TERM = 143;
    private static final int POLLIN = 1;
    private static final long SIG_IGN = 1;
    private static final int SIGHUP = 1;
    private static final int SIGINT = 2;
    private static final int SIGTERM = 15;

    private static WorkerStop instance;

    private final CountDownLatch stopping = new CountDownLatch(1);
    private final int supervisor = Native.integer("getppid");
    private final Duration grace;
    private final int fd = Worker.stopFd();
    private final List<Thread> actions = new ArrayList<>();
    private boolean isHeeded;
    private volatile boolean isTerminated;

    private WorkerStop(Duration grace) {
        this.grace = grace;
    }

    /** Begins to watch. */
    static synchronized void start(Duration grace) {
        instance = new WorkerStop(grace);
        Thread.ofPlatform().daemon().name("prefork-stop").start(instance::watch);
    }

    /** That of this worker, which from now on ends by itself. */
    static synchronized WorkerStop of() {
        if (instance == null) {
            throw new PreforkException("worker", -PreforkException.ECHILD);
        }
        instance.heed();
        return instance;
    }

    private synchronized void heed() {
        if (!isHeeded) {
            isHeeded = true;
            boolean isHandled = SignalRelay.handle(signal -> terminate(), "TERM");
            // A terminal sends these to all processes: the supervisor decides what they mean.
            isHandled |= SignalRelay.handle(signal -> { }, "INT", "HUP");
            if (!isHandled) {
                // -Xrs: their default action would end this process.
                for (int signal : new int[] {SIGTERM, SIGINT, SIGHUP}) {
                    Native.number("signal", signal, SIG_IGN);
                }
            }
        }
    }

    private void terminate() {
        isTerminated = true;
        stopping.countDown();
    }

    /** The exit status of a worker whose function has returned. Waits for the actions. */
    static int status() {
        WorkerStop stop = own();
        if (stop.isStopping()) {
            List<Thread> actions;
            synchronized (stop.actions) {
                actions = List.copyOf(stop.actions);
            }
            for (Thread action : actions) {
                while (action.isAlive()) {
                    try {
                        action.join();
                    } catch (InterruptedException e) {
                        // The function has returned: there is nothing to interrupt.
                    }
                }
            }
        }
        return stop.isTerminated && !stop.isRequested(0) ? STATUS_OF_TERM : 0;
    }

    private static synchronized WorkerStop own() {
        return instance;
    }

    static boolean isStoppingNow() {
        return own().isStopping();
    }

    boolean isStopping() {
        return stopping.getCount() == 0;
    }

    boolean await(Duration timeout) throws InterruptedException {
        return stopping.await(TimeUnit.NANOSECONDS.convert(timeout), TimeUnit.NANOSECONDS);
    }

    void onStop(Runnable action) {
        synchronized (actions) {
            actions.add(Thread.ofPlatform().daemon().name("prefork-on-stop").start(() -> {
                try {
                    stopping.await();
                } catch (InterruptedException e) {
                    return;
                }
                action.run();
            }));
        }
    }

    private boolean isRequested(int timeoutMs) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pollfd = arena.allocate(8, 4);
            pollfd.set(ValueLayout.JAVA_INT, 0, fd);
            pollfd.set(ValueLayout.JAVA_INT, 4, POLLIN);
            return Native.integer("poll", pollfd, 1L, timeoutMs) > 0;
        }
    }

    private void watch() {
        while (!isRequested(-1)) {
            // A signal that the JVM uses has interrupted it.
        }
        stopping.countDown();
        boolean isLeft;
        synchronized (this) {
            isLeft = !isHeeded;
        }
        if (isLeft) {
            System.exit(STATUS_OF_TERM); // without the lock, which shutdown hooks may need
        }
        endAfterSupervisor();
    }

    /** A supervisor that lives kills a worker that is late. One that has ended cannot. */
    private void endAfterSupervisor() {
        long end = System.nanoTime() + TimeUnit.NANOSECONDS.convert(grace);
        try {
            while (!grace.isZero()) {
                Thread.sleep(100);
                if (System.nanoTime() - end > 0 && Native.integer("getppid") != supervisor) {
                    Runtime.getRuntime().halt(STATUS_OF_TERM);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
