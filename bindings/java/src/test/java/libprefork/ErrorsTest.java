// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is refused, and how. */
class ErrorsTest {
    private static final int EBADF = 9;
    private static final int ECHILD = 10;
    private static final int EINVAL = 22;
    private static final int EADDRINUSE = 98;

    @TempDir
    Path scratch;

    /** A bad value names its setting. */
    private static void refused(String name, UnaryOperator<PoolBuilder> set) {
        IllegalArgumentException error = assertThrows(IllegalArgumentException.class,
                () -> set.apply(ScenariosTest.pool("exit", 1)).start().close());
        assertTrue(error.getMessage().contains(name), error.getMessage());
    }

    @Test
    void errors_as_the_languages_own() throws Exception {
        refused("workers 65537", b -> b.workers(65537));
        refused("name", b -> b.name("x".repeat(64)));
        refused("NUL", b -> b.name("a\0b"));
        refused("stopSignal 1000", b -> b.stopSignal(1000));
        refused("stopTimeout", b -> b.stopTimeout(Duration.ofMillis(-1)));
        refused("backoff", b -> b.backoff(Duration.ofSeconds(2), Duration.ofSeconds(1)));
        refused("readyTimeout", b -> b.readyTimeout(Duration.ofSeconds(Long.MAX_VALUE)));
        // Zero would turn it off.
        assertEquals(1, Checks.millis("readyTimeout", Duration.ofNanos(1)));
        assertEquals(1, Checks.millis("readyTimeout", Duration.ofMillis(1)));
        assertEquals(0, Checks.timeoutMs(0));
        assertEquals(1, Checks.timeoutMs(1));
        assertEquals(1, Checks.timeoutMs(1_000_000));
        assertEquals(Integer.MAX_VALUE, Checks.timeoutMs(Long.MAX_VALUE));
        refused("exitAction 256", b -> b.exitAction(256, ExitAction.FATAL));
        refused("restartWindow 0", b -> b.restartWindow(0, Duration.ofSeconds(1)));
        refused("replaceWidth 0", b -> b.replaceWidth(0));
        refused("spares -1", b -> b.spares(-1));
        refused("fd a:b", b -> b.fd("a:b", 0));
        refused("command", b -> b.command());
        assertThrows(IllegalStateException.class, () -> Pool.builder().start());
        assertEquals("EBADF", assertThrows(PreforkException.class,
                () -> ScenariosTest.pool("exit", 1).fd("x", 99999).start()).getMessage()
                .replaceAll(".*\\((\\w+)\\)", "$1"));

        PreforkException error = assertThrows(PreforkException.class, Worker::ready);
        assertEquals(List.of(ECHILD, -ECHILD), List.of(error.errno(), error.code()));
        assertThrows(PreforkException.class, Worker::isStopping);
        assertThrows(PreforkException.class, () -> Worker.fd("none"));

        try (Listener listener = Listener.bind("127.0.0.1", 0)) {
            error = assertThrows(PreforkException.class,
                    () -> Listener.bind("127.0.0.1", listener.port()));
            assertEquals(EADDRINUSE, error.errno());
            assertTrue(error.getMessage().contains("EADDRINUSE"), error.getMessage());
            assertThrows(IllegalArgumentException.class,
                    () -> listener.attach(new java.net.InetSocketAddress("127.0.0.1", 1)));
        }
        error = assertThrows(PreforkException.class, () -> Listener.bind("none.invalid", 0));
        assertEquals(List.of(PreforkException.RESOLVE, 0), List.of(error.code(), error.errno()));
        assertThrows(IllegalArgumentException.class, () -> Listener.bind("127.0.0.1", 65536));
        assertThrows(IllegalArgumentException.class, () -> Listener.of(0));
        assertThrows(IllegalArgumentException.class, () -> Prefork.dieOfSignal(1000));

        try (Pool pool = ScenariosTest.pool("stay", 1).start()) {
            assertTrue(pool.poll(Duration.ofSeconds(Long.MAX_VALUE)).isPresent());
            assertThrows(IllegalArgumentException.class, () -> pool.resize(0));
            assertThrows(IllegalArgumentException.class, () -> pool.handleSignal(9));
            assertThrows(IllegalArgumentException.class, () -> pool.replaceWorker(7));
            pool.close();
            assertThrows(IllegalStateException.class, pool::workerCount);
            assertThrows(IllegalStateException.class, pool::stop);
        }
    }

    @Test
    void a_wait_without_end_is_a_wait() throws Exception {
        Duration endless = Duration.ofSeconds(Long.MAX_VALUE);
        try (Pool pool = ScenariosTest.pool("stay", 1).start()) {
            EventType type = EventType.STARTING;
            while (type != EventType.STARTED) {
                type = pool.poll(endless).orElseThrow().type();
            }
            pool.kill();
            while (type != EventType.DONE) {
                type = pool.poll(endless).orElseThrow().type();
            }
        }
    }

    @Test
    void a_program_that_cannot_be_executed_is_reported() throws Exception {
        try (Pool pool = Pool.builder().name("absent").workers(1).command("/nowhere/at-all")
                .bootLimit(1).start()) {
            Event failed = ScenariosTest.until(pool, EventType.START_FAILED, 1).getLast();
            assertEquals(-2, failed.error());
        }
    }

    @Test
    void an_error_of_the_system_is_the_one_that_it_reports() {
        assertEquals(EBADF, assertThrows(PreforkException.class,
                () -> Descriptors.replace(99999, 99998)).errno());
        assertEquals(EINVAL, -Native.system("dup3", 0, 0, 0));
    }

    /** Compiles a shared library. */
    private Path compile(String name, String source) throws Exception {
        Path file = Files.writeString(scratch.resolve(name + ".c"), source);
        Path library = scratch.resolve(name + ".so");
        Process process = new ProcessBuilder("cc", "-shared", "-fPIC", "-o", library.toString(),
                file.toString()).inheritIO().start();
        assertEquals(0, process.waitFor());
        return library;
    }

    @Test
    void use_after_fork_refused() throws Exception {
        // Java has no fork: the child calls the library by C, and ends.
        SymbolLookup helper = SymbolLookup.libraryLookup(compile("helper", """
                #include <sys/wait.h>
                #include <unistd.h>
                int in_child(int (*function)(void *), void *pool) {
                    int status = -1;
                    pid_t pid = fork();
                    if (pid == 0) _exit(-function(pool));
                    return waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : -1;
                }
                """), Arena.global());
        var inChild = Linker.nativeLinker().downcallHandle(helper.find("in_child").orElseThrow(),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS,
                        ValueLayout.ADDRESS));
        PoolHandle handle = new PoolHandle();
        try {
            for (String name : List.of("pf_pool_start", "pf_pool_stop", "pf_pool_wake")) {
                MemorySegment function = Native.address(name);
                int refusal;
                try {
                    refusal = (int) inChild.invokeExact(function, handle.open());
                } catch (Throwable e) {
                    throw new AssertionError(e);
                }
                assertEquals(ECHILD, refusal, name);
            }
        } finally {
            handle.free();
        }
        // A worker of one pool has to start that pool first.
        try (Pool pool = Pool.builder().name("other").workers(1).maxRestarts(0)
                .command(Program.java("libprefork.Programs", "test", "exit")
                        .toArray(String[]::new)).start()) {
            GaveUpException error = assertThrows(GaveUpException.class,
                    () -> pool.events().count());
            assertEquals(1, error.lastExit().orElseThrow().exitCode());
        }
    }

    private String failure(Map<String, String> environment) throws Exception {
        try (Program program = new Program(environment,
                Program.java("libprefork.Programs", "load"))) {
            program.end(1);
            return program.output();
        }
    }

    @Test
    void library_missing_or_too_old() throws Exception {
        String message = failure(Map.of("PREFORK_LIBRARY", "/nowhere/libprefork.so.0"));
        assertTrue(message.contains("UnsatisfiedLinkError") && message.contains("/nowhere/")
                && message.contains("Install libprefork and run ldconfig"), message);
        Path old = compile("old", "int pf_version_number(void) { return 100; }");
        message = failure(Map.of("PREFORK_LIBRARY", old.toString()));
        assertTrue(message.contains("too old: version 0.1.0")
                && message.contains("0.2.0 or later is needed"), message);
        Path lacking = compile("lacking", "int pf_version_number(void) { return 200; }");
        message = failure(Map.of("PREFORK_LIBRARY", lacking.toString()));
        assertTrue(message.contains("too old: it lacks pf_"), message);
        Path other = compile("other", "int other(void) { return 0; }");
        message = failure(Map.of("PREFORK_LIBRARY", other.toString()));
        assertTrue(message.contains("is not libprefork"), message);
    }

    @Test
    void a_thread_that_waits_can_be_interrupted() throws Exception {
        try (Pool pool = ScenariosTest.pool("sleep", 1).start()) {
            ScenariosTest.until(pool, EventType.STARTED, 1);
            Thread waiter = Thread.currentThread();
            Thread.ofPlatform().start(() -> {
                try {
                    Program.until("waits", () -> waiter.getStackTrace().length > 0);
                    Thread.sleep(50);
                } catch (InterruptedException e) {
                    return;
                }
                waiter.interrupt();
            });
            assertThrows(InterruptedException.class, () -> {
                while (true) {
                    pool.next();
                }
            });
            // Other threads get at the pool while this one waits.
            Thread other = Thread.ofPlatform().start(() -> {
                assertEquals(1, pool.workerCount());
                pool.resize(2);
                pool.stop();
            });
            assertInstanceOf(Event.class, pool.events().toList().getLast());
            other.join();
            assertEquals(2, pool.workers().size());
        }
    }
}
