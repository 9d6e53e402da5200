// SPDX-License-Identifier: MIT
package libprefork;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToIntFunction;

/**
 * The settings of a {@link Pool}. A value that is out of range is an
 * {@link IllegalArgumentException} of the setting or of {@link #start}, which names the setting.
 * Durations count in milliseconds, and are rounded up.
 */
public final class PoolBuilder {
    private record Setting(String what, ToIntFunction<MemorySegment> apply) {}

    private final List<Setting> settings = new ArrayList<>();
    private String name = "";
    private WorkerFunction worker;
    private List<String> command;
    private Map<String, String> environment;
    private Signals signals = Signals.NONE;
    private int stopSignal = 15;
    private Duration stopTimeout = Duration.ofSeconds(10);

    PoolBuilder() {}

    private PoolBuilder set(String what, ToIntFunction<MemorySegment> apply) {
        settings.add(new Setting(what, apply));
        return this;
    }

    private PoolBuilder set(String name, String function, int value) {
        return set(name + " " + value, h -> Native.integer(function, h, value));
    }

    private PoolBuilder set(String name, String function, Duration duration) {
        long ms = Checks.millis(name, duration);
        return set(name + " " + duration, h -> Native.integer(function, h, ms));
    }

    /**
     * Sets the name of the pool. A program with several pools needs one for each.
     *
     * @param name at most 63 bytes; default ""
     * @return this
     */
    public PoolBuilder name(String name) {
        this.name = Checks.text("name", Objects.requireNonNull(name, "name"));
        return this;
    }

    /**
     * Sets the number of workers.
     *
     * @param count at most 65,536; 0 or negative: {@link Prefork#cpuCount}, the default
     * @return this
     */
    public PoolBuilder workers(int count) {
        return set("workers", "pf_pool_set_workers", count);
    }

    /**
     * Sets what each worker does. A pool needs it unless it has a {@link #command}.
     *
     * @param function called in each worker, in which {@link #start} does not return
     * @return this
     */
    public PoolBuilder worker(WorkerFunction function) {
        worker = Objects.requireNonNull(function, "worker");
        return this;
    }

    /**
     * Has workers execute another program than this one, with other arguments. Unless it is
     * {@link #foreign}, it has to start a pool of the same name by this library.
     *
     * @param command the path of the program, which is not searched in PATH, and its arguments
     * @return this
     */
    public PoolBuilder command(String... command) {
        this.command = Checks.command(List.of(command));
        return this;
    }

    /**
     * Sets the environment of the workers.
     *
     * @param environment all of it; default: that of this process
     * @return this
     */
    public PoolBuilder environment(Map<String, String> environment) {
        this.environment = Checks.environment(environment);
        return this;
    }

    /**
     * Tells that the program of {@link #command} does not use this library. It reports as a service
     * does to systemd. The JVM does not supervise in the main thread of the process: such workers
     * survive a supervisor that is killed.
     *
     * @return this
     */
    public PoolBuilder foreign() {
        return set("foreign", "pf_pool_set_foreign_workers", 1);
    }

    /**
     * Gives a descriptor to each worker, which finds it by {@link Worker#fd}. What
     * {@link Listener#bind} opened needs no such call.
     *
     * @param name 1 to 255 bytes, without colons and control characters
     * @param fd the descriptor, such as {@link Listener#fd}
     * @return this
     */
    public PoolBuilder fd(String name, int fd) {
        Checks.text("fd: the name", Objects.requireNonNull(name, "name"));
        return set("fd " + name, h -> Native.integer("pf_pool_add_fd", h, name, fd));
    }

    /**
     * Keeps workers that are started ahead of need, wait in {@link #start}, and take the place of a
     * worker that ends at once. The start of a JVM then delays no restart.
     *
     * @param count 0, the default, to 65,536
     * @return this
     */
    public PoolBuilder spares(int count) {
        return set("spares", "pf_pool_set_spares", count);
    }

    /**
     * Sets which ends of workers lead to a restart.
     *
     * @param policy default {@link RestartPolicy#ON_FAILURE}
     * @return this
     */
    public PoolBuilder restartPolicy(RestartPolicy policy) {
        return set("restartPolicy", "pf_pool_set_restart_policy", policy.number);
    }

    /**
     * Limits the restarts in the life of the pool, over all workers.
     *
     * @param max default, and for a negative value: 100; {@link Integer#MAX_VALUE}: no limit
     * @return this
     */
    public PoolBuilder maxRestarts(int max) {
        return set("maxRestarts", "pf_pool_set_max_restarts", max);
    }

    /**
     * Limits the restarts in any window of time, over all workers.
     *
     * @param max 1 to 65,536; 0 with a window of zero: no such limit, the default
     * @param window its length
     * @return this
     */
    public PoolBuilder restartWindow(int max, Duration window) {
        long ms = Checks.millis("restartWindow", window);
        return set("restartWindow " + max + ", " + window,
                h -> Native.integer("pf_pool_set_restart_window", h, max, ms));
    }

    /**
     * Sets the delay before a restart, which doubles for each worker from first to max.
     *
     * @param first the first one; zero: no delay, the default
     * @param max the longest one
     * @return this
     */
    public PoolBuilder backoff(Duration first, Duration max) {
        long firstMs = Checks.millis("backoff", first);
        long maxMs = Checks.millis("backoff", max);
        return set("backoff " + first + ", " + max,
                h -> Native.integer("pf_pool_set_backoff", h, firstMs, maxMs));
    }

    /**
     * Limits how many workers may end in a row before any worker is ready.
     *
     * @param max 0: no limit, the default
     * @return this
     */
    public PoolBuilder bootLimit(int max) {
        return set("bootLimit", "pf_pool_set_boot_limit", max);
    }

    /**
     * Sets what happens at a limit of restarts.
     *
     * @param action default {@link LimitAction#STOP}
     * @return this
     */
    public PoolBuilder limitAction(LimitAction action) {
        return set("limitAction", "pf_pool_set_limit_action", action.number);
    }

    /**
     * Sets what an exit status means.
     *
     * @param status 0 to 255
     * @param action default {@link ExitAction#DEFAULT}
     * @return this
     */
    public PoolBuilder exitAction(int status, ExitAction action) {
        return set("exitAction " + status,
                h -> Native.integer("pf_pool_set_exit_action", h, status, action.number));
    }

    /**
     * Sets the signal that asks a worker to stop.
     *
     * @param signal its number; default 15, SIGTERM; 0: none, {@link Worker#onStop} is enough
     * @return this
     */
    public PoolBuilder stopSignal(int signal) {
        stopSignal = signal;
        return this;
    }

    /**
     * Sets the time that a worker has to stop. Then it is killed.
     *
     * @param timeout default 10 s; zero: no limit
     * @return this
     */
    public PoolBuilder stopTimeout(Duration timeout) {
        Checks.millis("stopTimeout", timeout);
        stopTimeout = timeout;
        return this;
    }

    /**
     * Sets the time in which a worker must call {@link Worker#ready}, which it does not without.
     *
     * @param timeout zero: a worker is ready when it has started, the default
     * @return this
     */
    public PoolBuilder readyTimeout(Duration timeout) {
        return set("readyTimeout", "pf_pool_set_ready_timeout", timeout);
    }

    /**
     * Sets how long a worker must live to count as started well.
     *
     * @param uptime default 1 s
     * @return this
     */
    public PoolBuilder minUptime(Duration uptime) {
        return set("minUptime", "pf_pool_set_min_uptime", uptime);
    }

    /**
     * Sets the longest time between two calls of {@link Worker#heartbeat}. A worker that exceeds
     * it is killed.
     *
     * @param timeout zero: no heartbeats are expected, the default
     * @return this
     */
    public PoolBuilder heartbeatTimeout(Duration timeout) {
        return set("heartbeatTimeout", "pf_pool_set_heartbeat_timeout", timeout);
    }

    /**
     * Sets the age at which a worker is replaced.
     *
     * @param max zero: never, the default
     * @param jitter a random part of it is added
     * @return this
     */
    public PoolBuilder lifetime(Duration max, Duration jitter) {
        long maxMs = Checks.millis("lifetime", max);
        long jitterMs = Checks.millis("lifetime", jitter);
        return set("lifetime " + max + ", " + jitter,
                h -> Native.integer("pf_pool_set_lifetime", h, maxMs, jitterMs));
    }

    /**
     * Sets the order of replacements.
     *
     * @param order default {@link ReloadOrder#START_FIRST}
     * @return this
     */
    public PoolBuilder reloadOrder(ReloadOrder order) {
        return set("reloadOrder", "pf_pool_set_reload_order", order.number);
    }

    /**
     * Sets how many workers are replaced at a time.
     *
     * @param count default 1
     * @return this
     */
    public PoolBuilder replaceWidth(int count) {
        return set("replaceWidth", "pf_pool_set_replace_width", count);
    }

    /**
     * Sets which signals of this process control the pool while it runs.
     *
     * @param signals default {@link Signals#NONE}
     * @return this
     */
    public PoolBuilder signals(Signals signals) {
        this.signals = signals;
        return set("signals", "pf_pool_set_signals", signals.number);
    }

    /**
     * Sets whether each worker leads a process group.
     *
     * @param mode default {@link ProcessGroups#NONE}
     * @return this
     */
    public PoolBuilder processGroups(ProcessGroups mode) {
        return set("processGroups", "pf_pool_set_process_groups", mode.number);
    }

    /**
     * Sets the signal that workers get at the end of the supervisor. The kernel sends it only for
     * supervisors in the main thread of the process. Java code never runs there. A thread of this
     * package in each worker notices the end of the supervisor.
     *
     * @param signal default 15, SIGTERM; 0: none
     * @return this
     */
    public PoolBuilder parentDeathSignal(int signal) {
        return set("parentDeathSignal", "pf_pool_set_parent_death_signal", signal);
    }

    /**
     * Sets which children are reaped besides the workers.
     *
     * @param mode default {@link ReapOrphans#NONE}
     * @return this
     */
    public PoolBuilder reapOrphans(ReapOrphans mode) {
        return set("reapOrphans", "pf_pool_set_reap_orphans", mode.number);
    }

    /**
     * Sends the messages of sd_notify(3) to systemd: ready, reloading, stopping.
     *
     * @return this
     */
    public PoolBuilder managerNotify() {
        return set("managerNotify", "pf_pool_set_manager_notify", 1);
    }

    /**
     * Sets how the end of a worker is noticed.
     *
     * @param backend default {@link Backend#AUTO}
     * @return this
     */
    public PoolBuilder backend(Backend backend) {
        return set("backend", "pf_pool_set_backend", backend.number);
    }

    /**
     * Starts the pool. In a worker of the pool the call runs the function of {@link #worker} and
     * never returns.
     *
     * @return the pool; its workers are started as it supervises
     * @throws IllegalArgumentException if a value is out of range
     * @throws IllegalStateException without worker and command, and in a worker of another pool
     * @throws PreforkException if the start failed
     */
    public Pool start() {
        if (worker == null && command == null) {
            throw new IllegalStateException("a pool needs worker() or command()");
        }
        PoolHandle handle = new PoolHandle();
        try {
            for (Setting setting : settings) {
                handle.call(setting.what(), setting.apply());
            }
            handle.call("name \"" + name + "\"", h -> Native.integer("pf_pool_set_name", h, name));
            handle.call("stopSignal " + stopSignal + ", stopTimeout " + stopTimeout,
                    h -> Native.integer("pf_pool_set_stop", h, stopSignal,
                            Checks.millis("stopTimeout", stopTimeout)));
            handle.call("command", h -> PoolHandle.setExec(h, command, environment));
            if (Worker.isExpected(name)) {
                Worker.run(handle, worker, stopTimeout);
            }
            handle.call("start", h -> Native.integer("pf_pool_start", h));
        } catch (RuntimeException | Error e) {
            handle.free();
            throw e;
        }
        handle.freeWhenLost();
        Pool pool = new Pool(handle, signals);
        SignalRelay.add(pool);
        return pool;
    }
}
