// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;

/** The examples, as programs. */
class ExamplesTest {
    private static final int RELOADS = 10;

    /** Sockets that do not listen, but whose ports nobody else gets. */
    private static final List<Socket> HELD = new ArrayList<>();

    private static int freePort() throws IOException {
        Socket held = new Socket();
        held.setReuseAddress(true);
        held.bind(new InetSocketAddress("127.0.0.1", 0));
        HELD.add(held);
        return held.getLocalPort();
    }

    /** One answer, of a connection that is kept open or not. Fails if there is none. */
    private static String ask(Socket socket, boolean keeps) throws IOException {
        socket.getOutputStream().write(("GET / HTTP/1.1\r\nHost: test\r\n"
                + (keeps ? "" : "Connection: close\r\n") + "\r\n").getBytes());
        StringBuilder answer = new StringBuilder();
        byte[] buffer = new byte[4096];
        while (!answer.toString().matches("(?s).*\r\n\r\n.*\n")) {
            int count = socket.getInputStream().read(buffer);
            if (count < 0) {
                throw new IOException("cut off: " + answer);
            }
            answer.append(new String(buffer, 0, count, StandardCharsets.UTF_8));
        }
        return answer.toString();
    }

    private static Socket connect(int port) throws IOException {
        Socket socket = new Socket("127.0.0.1", port);
        socket.setSoTimeout((int) Program.PATIENCE.toMillis());
        socket.setTcpNoDelay(true);
        return socket;
    }

    /** Asks until the end, and counts. */
    private static final class Load {
        final AtomicInteger answered = new AtomicInteger();
        final List<String> lost = new ArrayList<>();
        private final AtomicBoolean isOver = new AtomicBoolean();
        private final List<Thread> threads = new ArrayList<>();

        Load(int port) {
            for (boolean keeps : new boolean[] {true, false, true, false}) {
                threads.add(Thread.ofPlatform().daemon().start(() -> ask(port, keeps)));
            }
        }

        private void ask(int port, boolean keeps) {
            while (!isOver.get()) {
                try (Socket socket = connect(port)) {
                    String answer;
                    do {
                        answer = ExamplesTest.ask(socket, keeps);
                        answered.incrementAndGet();
                        Thread.sleep(1); // the load of a test is no benchmark
                    } while (keeps && !isOver.get()
                            && !answer.toLowerCase().contains("connection: close"));
                } catch (IOException | InterruptedException e) {
                    synchronized (lost) {
                        lost.add(e.toString());
                    }
                }
            }
        }

        void end() throws InterruptedException {
            isOver.set(true);
            for (Thread thread : threads) {
                thread.join();
            }
        }
    }

    private static Program server(int port, int workers, int spares) throws IOException {
        return new Program(Map.of("PORT", "" + port, "WORKERS", "" + workers,
                "SPARES", "" + spares), Program.java("HttpExample"));
    }

    @Test
    void rolling_reload() throws Exception {
        int port = freePort();
        try (Program program = server(port, 2, 0)) {
            program.await("child 1 ", 2);
            Load load = new Load(port);
            for (int i = 0; i < RELOADS; i++) {
                program.signal("HUP");
                program.await("Reloaded 2 processes", i + 1);
                int seen = load.answered.get();
                Program.until("answers after a reload", () -> load.answered.get() > seen + 8);
            }
            load.end();
            assertEquals(List.of(), load.lost);
            // Each new worker was ready before its old one ended.
            List<String> lines = program.lines("child");
            assertEquals(2 * RELOADS + 2, lines.stream().filter(l -> l.endsWith("is ready"))
                    .count());
            program.signal("TERM");
            program.end(128 + 15);
            assertTrue(program.lines("child").stream().noneMatch(l -> l.contains("killed")));
        }
    }

    @Test
    void a_connection_that_waits_is_answered_before_the_end() throws Exception {
        int port = freePort();
        try (Program program = server(port, 1, 0)) {
            program.await("child 0 ", 2);
            try (Socket socket = connect(port)) {
                String first = ask(socket, true);
                assertTrue(first.startsWith("HTTP/1.1 200 OK\r\n"), first);
                assertTrue(first.toLowerCase().contains("content-length: "), first);
                assertTrue(first.matches("(?s).*\r\n\r\nhello from pid [0-9]+, task 0\n"), first);
                program.signal("HUP");
                program.await("Reloaded", 1);
                // The old worker keeps the connection that it has until this answer.
                // It may read that it must stop only after some. Its end would end this, too.
                String last;
                do {
                    last = ask(socket, true);
                    assertEquals(body(first), body(last));
                } while (!last.toLowerCase().contains("connection: close"));
                assertEquals(-1, socket.getInputStream().read());
            }
            try (Socket socket = connect(port)) {
                assertNotEquals(-1, ask(socket, false).indexOf("hello"));
            }
            program.signal("TERM");
            program.end(128 + 15);
        }
    }

    private static String body(String answer) {
        return answer.substring(answer.indexOf("\r\n\r\n"));
    }

    @Test
    void metrics() throws Exception {
        int port = freePort();
        try (Program program = new Program(Map.of("PORT", "" + port, "WORKERS", "1"),
                Program.java("MetricsExample"))) {
            program.await("child 0 ", 1);
            Program.until("the counters", () -> text(port).contains("prefork_started_total 1.0")
                    && text(port).contains("prefork_alive 1.0")
                    && text(port).contains("# TYPE prefork_restarted_total counter"));
            Program.kill("KILL", Long.parseLong(
                    program.lines("child 0 ").get(0).replaceAll("\\D+0\\D+(\\d+).*", "$1")));
            Program.until("the restart", () -> text(port).contains("prefork_restarted_total 1.0"));
            program.signal("TERM");
            program.end(128 + 15);
        }
    }

    private static String text(int port) {
        try {
            return new String(URI.create("http://127.0.0.1:" + port + "/metrics").toURL()
                    .openStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            return "";
        }
    }

    private static Path jar() throws Exception {
        Path jar = Path.of(Pool.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        assertTrue(jar.toString().endsWith("prefork-0.2.0.jar"), jar.toString());
        return jar;
    }

    @Test
    void the_package_may_be_on_the_module_path() throws Exception {
        int port = freePort();
        List<String> command = Program.java("HttpExample");
        String jar = jar().toString();
        command.replaceAll(word -> word.equals("--enable-native-access=ALL-UNNAMED")
                ? "--enable-native-access=libprefork"
                : String.join(":", Stream.of(word.split(":")).filter(p -> !p.equals(jar)).toList()));
        command.addAll(1, List.of("--module-path", jar, "--add-modules", "libprefork"));
        try (Program program = new Program(Map.of("PORT", "" + port, "WORKERS", "1"), command)) {
            program.await("child 0 ", 2);
            try (Socket socket = connect(port)) {
                assertTrue(ask(socket, false).contains("hello from pid "));
            }
            program.signal("TERM");
            program.end(128 + 15);
            assertTrue(program.lines("WARNING").isEmpty(), program.output());
        }
    }

    @Test
    void the_jar_has_the_license_and_no_time_of_its_build() throws Exception {
        try (JarFile file = new JarFile(jar().toFile())) {
            assertTrue(new String(file.getInputStream(file.getEntry("META-INF/LICENSE"))
                    .readAllBytes()).contains("Permission is hereby granted"));
            assertEquals(Set.of(LocalDateTime.of(2026, 1, 1, 0, 0)), file.stream()
                    .map(ZipEntry::getTimeLocal).collect(Collectors.toSet()));
        }
    }
}
