// SPDX-License-Identifier: MIT
package libprefork;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * A pool of worker processes that this process supervises.
 *
 * <p>A pool does its work inside {@link #run}, {@link #next}, {@link #poll} and the iterator. Call
 * one of them until the pool is done. Any thread may call any method. Methods that wait for the
 * supervising thread wake it first.
 *
 * <pre>{@code
 * try (Pool pool = Pool.builder().name("web").workers(4).worker(Server::serve).start()) {
 *     for (Event event : pool) {
 *         System.err.println(event.message());
 *     }
 * }
 * }</pre>
 */
public final class Pool implements AutoCloseable, Iterable<Event> {
    private final PoolHandle handle;
    private final Signals signals;
    private volatile int stopSignal;
    private boolean isDone;
    private int failure;
    private Event lastExit;

    Pool(PoolHandle handle, Signals signals) {
        this.handle = handle;
        this.signals = signals;
    }

    /**
     * Returns a builder with the default settings.
     *
     * @return a new builder
     */
    public static PoolBuilder builder() {
        return new PoolBuilder();
    }

    // ---- Supervision ----

    /**
     * Supervises until the pool is done, and logs the events by the {@link System.Logger} named
     * "libprefork".
     *
     * @throws GaveUpException after too many restarts
     * @throws PreforkException if the pool failed otherwise
     * @throws InterruptedException if this thread is interrupted; {@link #close} stops the workers
     */
    public void run() throws InterruptedException {
        System.Logger logger = System.getLogger("libprefork");
        for (Optional<Event> event = next(); event.isPresent(); event = next()) {
            event.get().log(logger);
        }
    }

    /**
     * Supervises until there is an event.
     *
     * @return the event; empty when the pool is done
     * @throws GaveUpException after the last event, after too many restarts
     * @throws PreforkException after the last event, if the pool failed otherwise
     * @throws InterruptedException if this thread is interrupted
     */
    public Optional<Event> next() throws InterruptedException {
        while (true) {
            Optional<Event> event = advance(-1);
            if (event.isPresent() || isDone()) {
                return event;
            }
        }
    }

    /**
     * Does the pending work, and supervises until there is an event or the time is over.
     *
     * @param timeout the longest time; zero: does not wait
     * @return the event; empty if there is none yet, or the pool {@linkplain #isDone is done}
     * @throws PreforkException as for {@link #next}
     * @throws InterruptedException if this thread is interrupted
     */
    public Optional<Event> poll(Duration timeout) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.NANOSECONDS.convert(timeout);
        while (true) {
            long left = Math.max(0, end - System.nanoTime());
            Optional<Event> event = advance(Checks.timeoutMs(left));
            if (event.isPresent() || left == 0 || isDone()) {
                return event;
            }
        }
    }

    private Optional<Event> advance(int timeoutMs) throws InterruptedException {
        handle.lock();
        try {
            if (!handle.isOpen()) {
                return Optional.empty(); // another thread has closed it
            }
            Optional<Event> event = pending();
            if (event.isPresent() || isDone) {
                return event;
            }
            // The JVM does not set close-on-exec.
            Descriptors.closeOnExec();
            int result = handle.dispatch(timeoutMs);
            if (result <= 0) {
                isDone = true;
                failure = result;
                SignalRelay.remove(this);
            }
            return pending();
        } finally {
            handle.unlock();
        }
    }

    /** The oldest event that waits. After the last one a failure is thrown. */
    private Optional<Event> pending() {
        for (Event event = handle.event(); event != null; event = handle.event()) {
            if (event.isAbnormalExit()) {
                lastExit = event;
            }
            if (event.type() != EventType.SIGNAL_UNAVAILABLE
                    || !SignalRelay.isOfTheJvm(event.signal())) {
                return Optional.of(event);
            }
        }
        if (failure == PreforkException.GAVE_UP || failure == PreforkException.FATAL) {
            throw new GaveUpException("pool", failure, lastExit);
        }
        PreforkException.check("pool", failure);
        return Optional.empty();
    }

    /**
     * Iterates over the events until the pool is done, as {@link #next} does. If the thread is
     * interrupted, it stays so, and {@code hasNext} throws a {@link PreforkException} with EINTR.
     *
     * @return an iterator
     */
    @Override
    public Iterator<Event> iterator() {
        return new EventIterator(this);
    }

    /**
     * Returns the events until the pool is done.
     *
     * @return a sequential stream
     */
    public Stream<Event> events() {
        return StreamSupport.stream(spliterator(), false);
    }

    /**
     * Tells whether the pool is done: no worker is left, and none will be started.
     *
     * @return whether it is done
     */
    public boolean isDone() {
        return handle.locked(() -> isDone ? 1 : 0) == 1;
    }

    /**
     * Stops the workers gracefully, waits until they have ended, and releases the pool. Events are
     * discarded. If the thread is interrupted, the workers are killed. A second call has no effect.
     * From then on the pool is done for the methods that wait for events. Those that control it or
     * show its state, except {@link #stopSignal}, throw an {@link IllegalStateException}. If a pool
     * becomes garbage without this call, its workers are killed and a warning is logged.
     */
    @Override
    public void close() {
        handle.locked(() -> {
            if (handle.isOpen()) {
                try {
                    stop();
                    finish();
                } finally {
                    SignalRelay.remove(this);
                    stopSignal = stopSignal();
                    isDone = true;
                    handle.free();
                }
            }
            return 0;
        });
    }

    private void finish() {
        while (!isDone) {
            try {
                advance(-1);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            } catch (PreforkException e) {
                return; // it has ended
            }
        }
    }

    // ---- Control ----

    /** Stops all workers gracefully. */
    public void stop() {
        handle.control("pf_pool_stop", "stop");
    }

    /** Stops all workers by SIGKILL. */
    public void kill() {
        handle.control("pf_pool_kill", "kill");
    }

    /**
     * Replaces all workers, one after the other. A new worker takes over when it calls
     * {@link Worker#ready}, or without {@link PoolBuilder#readyTimeout} after a second. The workers
     * execute what the files of the program hold by then. {@link EventType#RELOADED} or
     * {@link EventType#RELOAD_FAILED} reports the end.
     */
    public void reload() {
        handle.control("pf_pool_reload", "reload");
    }

    /** Makes a {@link #next} or {@link #poll} that waits look again. */
    public void wake() {
        handle.control("pf_pool_wake", "wake");
    }

    /**
     * Handles a signal that the program received by itself, as {@link Signals#STANDARD} does.
     *
     * @param signal the number of TERM, INT, QUIT, HUP, TTIN, TTOU, USR1, USR2 or WINCH
     * @throws IllegalArgumentException for another signal
     */
    public void handleSignal(int signal) {
        handle.control("pf_pool_handle_signal", "signal " + signal, signal);
    }

    /** As if the library had handled the signal. */
    void stopBy(int signal) {
        stopSignal = signal;
        stop();
    }

    Signals signals() {
        return signals;
    }

    /**
     * Changes the number of workers. Surplus workers, those with the highest task ids, are stopped.
     *
     * @param count 1 to 65,536
     */
    public void resize(int count) {
        handle.call("resize to " + count, h -> Native.integer("pf_pool_resize", h, count));
    }

    /**
     * Replaces one worker.
     *
     * @param taskId its task id
     */
    public void replaceWorker(int taskId) {
        handle.call("task id " + taskId, h -> Native.integer("pf_pool_replace_worker", h, taskId));
    }

    /**
     * Stops one worker gracefully. {@link #replaceWorker} starts one in its place.
     *
     * @param taskId its task id
     */
    public void stopWorker(int taskId) {
        handle.call("task id " + taskId, h -> Native.integer("pf_pool_stop_worker", h, taskId));
    }

    /**
     * Sends a signal to one worker, or to all. This is not a stop request.
     *
     * @param taskId the task id; -1: all
     * @param signal the number
     */
    public void sendSignal(int taskId, int signal) {
        handle.call("task id " + taskId + ", signal " + signal,
                h -> Native.integer("pf_pool_send_signal", h, taskId, signal));
    }

    /**
     * Changes the number of {@link PoolBuilder#spares}.
     *
     * @param count 0 to 65,536
     */
    public void setSpares(int count) {
        handle.call("spares " + count, h -> Native.integer("pf_pool_set_spares", h, count));
    }

    /**
     * Changes the program of later starts, such as those of the next {@link #reload}.
     *
     * @param command the path of the program and its arguments
     * @param environment its environment; null: that of this process
     */
    public void setCommand(List<String> command, Map<String, String> environment) {
        List<String> program = Checks.command(command);
        Map<String, String> variables = Checks.environment(environment);
        handle.call("command", h -> PoolHandle.setExec(h, program, variables));
    }

    // ---- State ----

    /**
     * {@return one for each slot, in the order of the task ids}
     */
    public List<WorkerInfo> workers() {
        List<WorkerInfo> workers = new ArrayList<>();
        handle.locked(() -> {
            MemorySegment h = handle.open();
            int count = Native.integer("pf_pool_worker_count", h);
            for (int i = 0; i < count; i++) {
                workers.add(new WorkerInfo(i, Native.integer("pf_pool_worker_pid", h, i),
                        WorkerState.of(Native.integer("pf_pool_worker_state", h, i)),
                        Native.integer("pf_pool_worker_restarts", h, i),
                        Duration.ofMillis(Native.number("pf_pool_worker_uptime_ms", h, i))));
            }
            return 0;
        });
        return List.copyOf(workers);
    }

    /**
     * Counts the slots.
     *
     * @return the number of workers that the pool is to have
     */
    public int workerCount() {
        return handle.call("worker count", h -> Native.integer("pf_pool_worker_count", h));
    }

    /**
     * Counts the processes.
     *
     * @return the number of workers that are alive
     */
    public int aliveCount() {
        return handle.call("alive count", h -> Native.integer("pf_pool_alive_count", h));
    }

    /**
     * Returns a number for metrics.
     *
     * @param counter which one
     * @return the number
     */
    public long counter(Counter counter) {
        return counters().get(counter);
    }

    /**
     * Returns all numbers for metrics.
     *
     * @return a map that the caller owns
     */
    public Map<Counter, Long> counters() {
        Map<Counter, Long> counters = new EnumMap<>(Counter.class);
        handle.locked(() -> {
            MemorySegment h = handle.open();
            for (Counter counter : Counter.values()) {
                counters.put(counter, Native.number("pf_pool_counter", h, counter.number));
            }
            return 0;
        });
        return counters;
    }

    /**
     * Returns the signal that stopped the pool, for {@link Prefork#dieOfSignal} after
     * {@link #close}.
     *
     * @return the number; 0: none
     */
    public int stopSignal() {
        int signal = handle.locked(() -> handle.isOpen()
                ? Native.integer("pf_pool_stop_signal", handle.open()) : 0);
        return signal > 0 ? signal : stopSignal;
    }
}
