// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Workers and sockets, beyond the scenarios. */
class WorkersTest {
    @Test
    void a_spare_takes_the_place_of_a_worker_at_once() throws Exception {
        try (Pool pool = ScenariosTest.pool("stay", 1).spares(1).readyTimeout(Program.PATIENCE)
                .start()) {
            List<Event> events = ScenariosTest.until(pool, EventType.SPARE_STARTED, 1);
            int spare = ScenariosTest.of(events, EventType.SPARE_STARTED).get(0).pid();
            if (ScenariosTest.of(events, EventType.READY).isEmpty()) {
                ScenariosTest.until(pool, EventType.READY, 1);
            }
            pool.sendSignal(0, 9);
            Event started = ScenariosTest.of(ScenariosTest.until(pool, EventType.STARTED, 1),
                    EventType.STARTED).get(0);
            assertEquals(List.of(spare, 0, Reason.RESTART),
                    List.of(started.pid(), started.taskId(), started.reason()));
            pool.setSpares(0);
        }
    }

    @Test
    void a_worker_retires() throws Exception {
        try (Pool pool = ScenariosTest.pool("retire", 1).readyTimeout(Program.PATIENCE)
                .minUptime(Duration.ZERO).heartbeatTimeout(Program.PATIENCE).start()) {
            ScenariosTest.until(pool, EventType.READY, 1);
            List<Event> events = ScenariosTest.until(pool, EventType.READY, 1);
            assertEquals(Reason.RETIRE,
                    ScenariosTest.of(events, EventType.STARTED).get(0).reason());
        }
    }

    @Test
    void somebodys_SIGTERM_ends_a_worker_that_is_restarted() throws Exception {
        try (Pool pool = ScenariosTest.pool("stay", 1).readyTimeout(Program.PATIENCE).start()) {
            ScenariosTest.until(pool, EventType.READY, 1);
            pool.sendSignal(0, 1);
            pool.sendSignal(0, 2);
            pool.sendSignal(0, 15);
            Event exited = ScenariosTest.of(ScenariosTest.until(pool, EventType.EXITED, 1),
                    EventType.EXITED).get(0);
            assertEquals(128 + 15, exited.exitCode());
            assertTrue(exited.willRestart());
        }
    }

    @Test
    void a_shutdown_hook_may_ask_whether_the_worker_must_stop() throws Exception {
        try (Program program = Program.run("hook", "hook", "1", "STANDARD")) {
            program.await("staying", 1);
            program.signal("TERM");
            program.end(128 + 15);
            assertEquals(List.of("stopping true"), program.lines("stopping"), program.output());
            assertTrue(program.lines("event KILLED").isEmpty(), program.output());
        }
    }

    @Test
    void a_program_that_does_not_know_the_library_gets_its_environment() throws Exception {
        try (Pool pool = Pool.builder().name("foreign").workers(1).foreign()
                .command("/bin/sh", "-c", "exit $STATUS").environment(Map.of("STATUS", "42"))
                .exitAction(42, ExitAction.FATAL).start()) {
            Event exited = ScenariosTest.until(pool, EventType.EXITED, 1).getLast();
            assertEquals(42, exited.exitCode());
        }
    }

    @Test
    void another_program_after_a_reload() throws Exception {
        try (Pool pool = Pool.builder().name("later").workers(1).foreign()
                .command("/bin/sleep", "3600").restartPolicy(RestartPolicy.NEVER)
                .minUptime(Duration.ZERO).start()) {
            ScenariosTest.until(pool, EventType.STARTED, 1);
            pool.setCommand(List.of("/bin/sleep", "3601"), null);
            pool.reload();
            ScenariosTest.until(pool, EventType.RELOADED, 1);
            assertEquals("3601", ProcessHandle.of(pool.workers().get(0).pid()).orElseThrow()
                    .info().arguments().orElseThrow()[0]);
        }
    }

    @Test
    void a_worker_finds_a_descriptor_by_its_name() throws Exception {
        try (Listener listener = Listener.bindAll("127.0.0.1", 0, 0, true).get(0);
                Pool pool = ScenariosTest.pool("fd", 1).fd("given", listener.fd()).start();
                Socket socket = new Socket("127.0.0.1", listener.port())) {
            ScenariosTest.until(pool, EventType.STARTED, 1);
            assertEquals("task 0", ScenariosTest.line(socket));
        }
    }

    @Test
    void a_server_that_is_detached_keeps_its_connections() throws Exception {
        try (Program program = Program.run("drain", "accept-drain", "1", "STANDARD")) {
            int port = Integer.parseInt(Program.words(program.await("port", 1).get(0))[1]);
            try (Socket first = new Socket("127.0.0.1", port)) {
                assertEquals("detached", ScenariosTest.line(first));
                assertEquals(List.of("connections 1"), program.lines("connections"));
                assertEquals(List.of("drained false"), program.lines("drained"));
                try (Socket second = new Socket("127.0.0.1", port)) {
                    first.shutdownOutput();
                    assertEquals("drained true", program.await("drained", 2).get(1));
                    assertTrue(program.lines("second").isEmpty(), program.output());
                }
            }
            program.signal("TERM");
            program.end(128 + 15);
        }
    }

    @Test
    void a_selector_does_not_wait_for_a_socket_that_is_detached() throws Exception {
        try (Listener listener = Listener.bind("127.0.0.1", 0);
                ServerSocketChannel server = listener.open();
                Selector selector = Selector.open()) {
            server.configureBlocking(false);
            server.register(selector, SelectionKey.OP_ACCEPT);
            try (Socket first = new Socket("127.0.0.1", listener.port())) {
                assertEquals(1, selector.select(Program.PATIENCE.toMillis()));
                selector.selectedKeys().clear();
                SocketChannel accepted = server.accept();
                assertEquals(first.getLocalPort(), accepted.socket().getPort());
                accepted.close();
            }
            listener.detach();
            try (Socket second = new Socket("127.0.0.1", listener.port())) {
                assertEquals(0, selector.selectNow());
                assertNull(server.accept());
                assertTrue(second.isConnected());
            }
        }
    }

    @Test
    void a_listener_that_is_closed_uses_no_descriptor_of_others() throws Exception {
        Listener closed = Listener.bind("127.0.0.1", 0);
        closed.close();
        try (Listener other = Listener.bind("127.0.0.1", 0);
                ServerSocketChannel server = ServerSocketChannel.open()) {
            assertEquals(closed.fd(), other.fd());
            server.bind(Listener.PLACEHOLDER);
            assertThrows(IllegalStateException.class, closed::port);
            assertThrows(IllegalStateException.class,
                    () -> closed.attach(server.getLocalAddress()));
            assertThrows(IllegalStateException.class, closed::connections);
        }
    }

    @Test
    void a_placeholder_is_found_by_its_address_and_port() throws Exception {
        try (Listener listener = Listener.bind("127.0.0.1", 0);
                ServerSocketChannel other = ServerSocketChannel.open();
                ServerSocketChannel server = ServerSocketChannel.open()) {
            other.bind(new InetSocketAddress("127.0.0.1", 0));
            int port = ((InetSocketAddress) other.getLocalAddress()).getPort();
            InetSocketAddress placeholder = new InetSocketAddress("127.0.0.2", port);
            assertThrows(IllegalArgumentException.class, () -> listener.attach(placeholder));
            server.bind(placeholder);
            listener.attach(server.getLocalAddress());
            try (Socket mine = new Socket("127.0.0.1", listener.port());
                    SocketChannel accepted = server.accept();
                    Socket theirs = new Socket("127.0.0.1", port);
                    SocketChannel untouched = other.accept()) {
                assertEquals(mine.getLocalPort(), accepted.socket().getPort());
                assertEquals(theirs.getLocalPort(), untouched.socket().getPort());
            }
        }
    }

    @Test
    void a_placeholder_may_have_any_address() throws Exception {
        for (String host : List.of("0.0.0.0", "::", "127.0.0.1", "::1")) {
            try (Listener listener = Listener.bind("127.0.0.1", 0);
                    ServerSocketChannel server = ServerSocketChannel.open()) {
                server.bind(new InetSocketAddress(host, 0));
                listener.attach(server.getLocalAddress());
                try (Socket client = new Socket("127.0.0.1", listener.port());
                        SocketChannel accepted = server.accept()) {
                    assertEquals(client.getLocalPort(), accepted.socket().getPort(), host);
                }
            }
        }
    }

    @Test
    void processes_that_java_starts_meanwhile_are_not_disturbed() throws Exception {
        try (Pool pool = Pool.builder().name("beside").workers(1).foreign()
                .command("/bin/sleep", "3600").stopTimeout(Duration.ofMillis(1)).start()) {
            ScenariosTest.until(pool, EventType.STARTED, 1);
            AtomicBoolean isOver = new AtomicBoolean();
            Thread supervisor = Thread.ofPlatform().start(() -> {
                try {
                    while (!isOver.get()) {
                        pool.poll(Duration.ZERO);
                    }
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
            for (int i = 0; i < 50; i++) {
                assertEquals(0, new ProcessBuilder("/bin/true").start().waitFor());
            }
            isOver.set(true);
            supervisor.join();
        }
    }

    @Test
    void a_unix_socket(@TempDir Path scratch) throws Exception {
        Path path = scratch.resolve("socket");
        try (Listener listener = Listener.bindUnix(path, 0600, 0);
                ServerSocketChannel server = listener.open();
                SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(path));
                SocketChannel accepted = server.accept()) {
            assertEquals(UnixDomainSocketAddress.of(path), listener.address());
            assertEquals(1, listener.connections());
            assertFalse(listener.drain(Duration.ZERO));
            accepted.close();
            assertTrue(listener.drain(Program.PATIENCE));
            assertTrue(client.isOpen());
        }
        assertTrue(Listener.inherited().isEmpty());
    }
}
