// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Threads, garbage, interrupts, exceptions and ends at bad moments. */
class HostileTest {
    /** A pool whose workers start at once and end at once. */
    private static PoolBuilder sleepers(int workers) {
        return Pool.builder().name("sleepers").workers(workers).foreign()
                .command("/bin/sleep", "3600").maxRestarts(Integer.MAX_VALUE);
    }

    private static Thread thread(boolean isVirtual, Runnable body) {
        return isVirtual ? Thread.ofVirtual().start(body) : Thread.ofPlatform().start(body);
    }

    private static boolean isAlive(long pid) {
        return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
    }

    private static void join(Thread thread) throws InterruptedException {
        assertTrue(thread.join(Program.PATIENCE), thread + " has not ended");
    }

    private static void refused(String message, Executable call) {
        assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
    }

    @Test
    void a_text_that_C_cannot_have_is_refused_with_its_name() {
        PoolBuilder builder = Pool.builder();
        refused("name contains a NUL character", () -> builder.name("a\0b"));
        refused("name contains half of a surrogate pair", () -> builder.name("\ud800"));
        refused("command contains a NUL character", () -> builder.command("/bin/sh", "\0"));
        refused("fd: the name contains a NUL character", () -> builder.fd("\0", 0));
        refused("environment contains a NUL character",
                () -> builder.environment(Map.of("\0", "")));
        refused("environment A contains a NUL character",
                () -> builder.environment(Map.of("A", "\0")));
        refused("environment: no variable has the name \"A=B\"",
                () -> builder.environment(Map.of("A=B", "")));
        refused("environment: no variable has the name \"\"",
                () -> builder.environment(Map.of("", "")));
        refused("host contains a NUL character", () -> Listener.bind("\0", 0));
        refused("fd contains a NUL character", () -> Worker.fd("\0"));
        String path = "x".repeat(200);
        String message = assertThrows(PreforkException.class,
                () -> Listener.bindUnix(Path.of(path), 0600, 0)).getMessage();
        assertTrue(message.startsWith("path " + path) && message.endsWith("(ENAMETOOLONG)"),
                message);
        assertEquals("readyTimeout", assertThrows(NullPointerException.class,
                () -> builder.readyTimeout(null)).getMessage());
        try (Pool pool = sleepers(1).start()) {
            refused("command contains a NUL character",
                    () -> pool.setCommand(List.of("\0"), null));
            refused("environment: no variable has the name \"=\"",
                    () -> pool.setCommand(List.of("/bin/true"), Map.of("=", "")));
        }
    }

    private static long startAndLose() throws InterruptedException {
        Pool pool = sleepers(1).start();
        return ScenariosTest.until(pool, EventType.STARTED, 1).getLast().pid();
    }

    @Test
    void the_workers_of_a_pool_that_is_lost_are_killed() throws Exception {
        long pid = startAndLose();
        Program.until("the end of worker " + pid, () -> {
            System.gc();
            return !isAlive(pid);
        });
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void another_thread_closes_a_pool_that_waits(boolean isVirtual) throws Exception {
        Pool pool = sleepers(2).start();
        CompletableFuture<Event> started = new CompletableFuture<>();
        AtomicReference<Throwable> end = new AtomicReference<>();
        Thread supervisor = thread(isVirtual, () -> {
            try {
                for (Event event : pool) {
                    if (event.type() == EventType.STARTED) {
                        started.complete(event);
                    }
                }
            } catch (RuntimeException e) {
                end.set(e);
            }
        });
        int pid = started.get(60, TimeUnit.SECONDS).pid();
        thread(!isVirtual, pool::close).join();
        join(supervisor);
        assertNull(end.get());
        assertFalse(isAlive(pid));
        assertTrue(pool.next().isEmpty());
        assertThrows(IllegalStateException.class, pool::aliveCount);
        assertEquals(0, pool.stopSignal());
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void an_interrupt_ends_the_wait_of_any_thread(boolean isVirtual) throws Exception {
        try (Pool pool = sleepers(1).start()) {
            CompletableFuture<Event> started = new CompletableFuture<>();
            AtomicReference<Throwable> end = new AtomicReference<>();
            Thread supervisor = thread(isVirtual, () -> {
                try {
                    started.complete(ScenariosTest.until(pool, EventType.STARTED, 1).getLast());
                    pool.run();
                } catch (InterruptedException e) {
                    end.set(e);
                }
            });
            started.get(60, TimeUnit.SECONDS);
            supervisor.interrupt();
            join(supervisor);
            assertInstanceOf(InterruptedException.class, end.get());
            assertEquals(1, pool.aliveCount());
        }
    }

    @Test
    void an_exception_of_a_handler_stops_the_workers() throws Exception {
        List<Integer> pids = new ArrayList<>();
        assertEquals("of the handler", assertThrows(IllegalStateException.class, () -> {
            try (Pool pool = sleepers(2).start()) {
                pool.events().filter(e -> e.type() == EventType.STARTED).forEach(e -> {
                    pids.add(e.pid());
                    if (pids.size() == 2) {
                        throw new IllegalStateException("of the handler");
                    }
                });
            }
        }).getMessage());
        assertTrue(pids.stream().noneMatch(HostileTest::isAlive), pids.toString());
    }

    @Test
    void an_interrupted_thread_that_closes_kills() throws Exception {
        Pool pool = Pool.builder().name("deaf").workers(1).foreign().stopTimeout(Duration.ZERO)
                .command("/bin/sh", "-c", "trap '' TERM; echo trapped; while :; do sleep 1; done")
                .start();
        int pid = ScenariosTest.until(pool, EventType.STARTED, 1).getLast().pid();
        Thread.currentThread().interrupt();
        pool.close();
        assertTrue(Thread.interrupted());
        assertFalse(isAlive(pid));
    }

    @Test
    void all_threads_call_a_pool_while_garbage_is_collected() throws Exception {
        List<Consumer<Pool>> calls = List.of(
                pool -> pool.workers().forEach(w -> assertTrue(w.taskId() >= 0)),
                pool -> assertTrue(pool.counters().get(Counter.STARTED) >= 0),
                pool -> pool.resize(ThreadLocalRandom.current().nextInt(1, 4)),
                pool -> pool.setCommand(List.of("/bin/sleep", "3601"), Map.of("A", "B")),
                pool -> {
                    int pid = pool.workers().get(0).pid();
                    if (pid > 0) {
                        ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
                    }
                },
                Pool::reload, Pool::wake, pool -> System.gc());
        AtomicReference<Throwable> problem = new AtomicReference<>();
        List<Thread> threads = new ArrayList<>();
        int events = 0;
        try (Pool pool = sleepers(2).minUptime(Duration.ZERO).start()) {
            long end = System.nanoTime() + 1_000_000_000;
            for (Consumer<Pool> call : calls) {
                threads.add(thread(threads.size() % 2 == 0, () -> {
                    try {
                        while (System.nanoTime() - end < 0) {
                            call.accept(pool);
                            Thread.yield();
                        }
                    } catch (Throwable e) {
                        problem.compareAndSet(null, e);
                    }
                }));
            }
            while (System.nanoTime() - end < 0) {
                events += pool.poll(Duration.ofMillis(10)).isPresent() ? 1 : 0;
            }
            for (Thread thread : threads) {
                join(thread);
            }
        }
        if (problem.get() != null) {
            throw new AssertionError(problem.get());
        }
        assertTrue(events > 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"KILL", "TERM", "INT", "HUP"})
    void a_supervisor_that_ends_while_workers_start_leaves_nobody(String signal)
            throws Exception {
        try (Program program = Program.run("early", "stay", "2", "NONE")) {
            program.await("event STARTED", 1);
            program.signal(signal);
            program.end(Map.of("KILL", 137, "TERM", 143, "INT", 130, "HUP", 129).get(signal));
        }
    }

    @Test
    void a_supervisor_may_be_stopped_before_it_starts_its_pool() throws Exception {
        try (Program program = Program.run("before", "stay", "2", "STANDARD")) {
            program.await("supervisor", 1);
            program.signal("TERM");
            program.end(128 + 15);
        }
    }

    @Test
    void a_shutdown_hook_may_close_the_pool() throws Exception {
        try (Program program = Program.run("hooked", "stay", "1", "HOOK")) {
            program.await("staying", 1);
            program.signal("TERM");
            program.end(128 + 15);
            assertEquals(1, program.lines("stopping").size(), program.output());
            assertEquals(List.of("closed"), program.lines("closed"), program.output());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"-Xint", "-XX:+UseParallelGC", "-XX:+UseZGC", "-Xcheck:jni"})
    void any_virtual_machine_will_do(String option) throws Exception {
        List<String> command = Program.java("libprefork.Programs", "option", "stay", "1",
                "STANDARD");
        command.removeIf(word -> option.startsWith("-XX:+Use") && word.equals("-XX:+UseSerialGC"));
        command.add(1, option);
        try (Program program = new Program(Map.of(), command)) {
            program.await("staying", 1);
            program.signal("TERM");
            program.end(128 + 15);
            assertTrue(program.lines("WARNING").isEmpty(), program.output());
        }
    }
}
