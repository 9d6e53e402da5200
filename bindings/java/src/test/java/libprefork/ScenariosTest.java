// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The scenarios of bindings/README.md, those of a pool in this process. */
class ScenariosTest {
    private static final int SIGKILL = 9;

    /** A pool whose workers are programs of the tests. */
    static PoolBuilder pool(String work, int workers) {
        return Pool.builder().name("test").workers(workers)
                .command(Program.java("libprefork.Programs", "test", work).toArray(String[]::new));
    }

    static List<Event> until(Pool pool, EventType type, int count) throws InterruptedException {
        List<Event> events = new ArrayList<>();
        while (events.stream().filter(e -> e.type() == type).count() < count) {
            Event event = pool.poll(Program.PATIENCE).orElseThrow();
            events.add(event);
        }
        return events;
    }

    static List<Event> of(List<Event> events, EventType type) {
        return events.stream().filter(e -> e.type() == type).toList();
    }

    @Test
    void task_ids() throws Exception {
        assertEquals(-1, Worker.taskId());
        try (Program program = Program.run("ids", "exit", "3", "NONE")) {
            program.end(0);
            assertEquals("-1", Program.words(program.await("supervisor", 1).get(0))[1]);
            Set<String> ids = program.lines("worker").stream()
                    .map(line -> Program.words(line)[1] + Program.words(line)[3])
                    .collect(Collectors.toSet());
            assertEquals(Set.of("00", "11", "22"), ids);
        }
    }

    @Test
    void event_order_and_fields() throws Exception {
        long begin = System.nanoTime();
        List<Event> events;
        try (Pool pool = pool("fail", 2).maxRestarts(0).start()) {
            events = new ArrayList<>(until(pool, EventType.DONE, 1));
            GaveUpException error = assertThrows(GaveUpException.class, pool::next);
            assertEquals(7, error.lastExit().orElseThrow().exitCode());
            assertTrue(pool.isDone());
        }
        List<EventType> types = events.stream().map(Event::type).toList();
        assertEquals(List.of(EventType.STARTING, EventType.STARTED, EventType.STARTED),
                types.subList(0, 3));
        assertEquals(2, events.get(0).workerCount());
        assertEquals(-1, events.get(0).taskId());
        Event failed = of(events, EventType.EXITED).stream().filter(e -> e.taskId() == 0)
                .findFirst().orElseThrow();
        assertEquals(of(events, EventType.STARTED).stream().filter(e -> e.taskId() == 0)
                .findFirst().orElseThrow().pid(), failed.pid());
        assertEquals(7, failed.exitCode());
        assertEquals(0, failed.signal());
        assertFalse(failed.willRestart());
        assertTrue(failed.uptime().toMillis() > 0 && failed.maxRssKib() > 1000);
        assertTrue(failed.userTime().plus(failed.systemTime()).toMillis() > 0);
        assertTrue(failed.message().contains("exited with status 7"), failed.message());
        assertEquals(Reason.START, of(events, EventType.STARTED).get(0).reason());
        long last = begin;
        for (Event event : events) {
            assertTrue(event.timeNanos() >= last);
            last = event.timeNanos();
        }
        assertTrue(last <= System.nanoTime());
        assertEquals(PreforkException.GAVE_UP, events.get(events.size() - 1).error());
    }

    @Test
    void pids_and_states() throws Exception {
        try (Pool pool = pool("stay", 2).readyTimeout(Program.PATIENCE).start()) {
            until(pool, EventType.READY, 2);
            WorkerInfo before = pool.workers().get(1);
            assertEquals(WorkerState.READY, before.state());
            assertTrue(ProcessHandle.of(before.pid()).orElseThrow().isAlive());
            assertTrue(before.uptime().toMillis() > 0);
            assertEquals(List.of(2, 2, 0), List.of(pool.workerCount(), pool.aliveCount(),
                    pool.stopSignal()));
            pool.sendSignal(1, SIGKILL);
            Event exited = of(until(pool, EventType.READY, 1), EventType.EXITED).get(0);
            assertEquals(List.of(1, SIGKILL, -1), List.of(exited.taskId(), exited.signal(),
                    exited.exitCode()));
            assertTrue(exited.willRestart());
            WorkerInfo after = pool.workers().get(1);
            assertNotEquals(before.pid(), after.pid());
            assertEquals(1, after.restarts());
            assertEquals(1, pool.counter(Counter.RESTARTED));
            assertEquals(3, pool.counter(Counter.STARTED));
            pool.stopWorker(0);
            until(pool, EventType.EXITED, 1);
            assertEquals(WorkerState.EMPTY, pool.workers().get(0).state());
            assertEquals(0, pool.workers().get(0).pid());
            pool.replaceWorker(0);
            assertEquals(0, of(until(pool, EventType.READY, 1), EventType.READY).get(0).taskId());
        }
    }

    @Test
    void resize() throws Exception {
        try (Pool pool = pool("stay", 1).readyTimeout(Program.PATIENCE).start()) {
            until(pool, EventType.READY, 1);
            pool.resize(3);
            List<Event> events = until(pool, EventType.READY, 2);
            assertEquals(Set.of(1, 2), of(events, EventType.READY).stream().map(Event::taskId)
                    .collect(Collectors.toSet()));
            pool.resize(2);
            assertEquals(2, of(until(pool, EventType.EXITED, 1), EventType.EXITED).get(0)
                    .taskId());
            assertEquals(2, pool.workerCount());
        }
    }

    @Test
    void graceful_stop() throws Exception {
        try (Pool pool = pool("stay", 1).readyTimeout(Program.PATIENCE).start()) {
            until(pool, EventType.READY, 1);
            pool.stop();
            List<Event> events = pool.events().toList();
            assertEquals(0, of(events, EventType.EXITED).get(0).exitCode());
            assertTrue(of(events, EventType.KILLED).isEmpty());
        }
        try (Pool pool = pool("deaf", 1).readyTimeout(Program.PATIENCE)
                .stopTimeout(Duration.ofMillis(50)).start()) {
            until(pool, EventType.READY, 1);
            pool.stop();
            List<Event> events = pool.events().toList();
            assertEquals(1, of(events, EventType.KILLED).size());
            assertEquals(SIGKILL, of(events, EventType.EXITED).get(0).signal());
        }
    }

    @Test
    void a_worker_that_does_not_get_ready_is_the_last_exit() throws Exception {
        try (Pool pool = Pool.builder().workers(1).maxRestarts(0).foreign()
                .command("/bin/sleep", "60").readyTimeout(Duration.ofMillis(100))
                .stopTimeout(Duration.ofMillis(100)).start()) {
            GaveUpException error = assertThrows(GaveUpException.class,
                    () -> pool.events().count());
            Event last = error.lastExit().orElseThrow();
            assertEquals(Reason.READY_TIMEOUT, last.reason());
            assertTrue(error.getMessage().contains(last.message()), error.getMessage());
        }
    }

    @Test
    void run_logs_and_ends() throws Exception {
        try (Pool pool = pool("exit", 1).start()) {
            pool.run();
            assertTrue(pool.isDone());
            assertEquals(0, pool.aliveCount());
            assertTrue(pool.next().isEmpty());
        }
    }

    @Test
    void shared_listening_socket() throws Exception {
        try (Program program = Program.run("shared", "accept", "2", "NONE")) {
            int port = Integer.parseInt(Program.words(program.await("port", 1).get(0))[1]);
            // Each worker answers one: the second is served by the other worker.
            try (Socket one = new Socket("127.0.0.1", port);
                    Socket two = new Socket("127.0.0.1", port)) {
                assertEquals(Set.of("task 0", "task 1"), Set.of(line(one), line(two)));
            }
            program.end(0);
        }
    }

    static String line(Socket socket) throws Exception {
        socket.setSoTimeout((int) Program.PATIENCE.toMillis());
        return new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine();
    }
}
