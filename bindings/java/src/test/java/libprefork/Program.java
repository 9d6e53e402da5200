// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** A program under test, its lines, and waits with a deadline. */
final class Program implements AutoCloseable {
    static final Duration PATIENCE = Duration.ofSeconds(60);

    final Process process;
    private final List<String> lines = new ArrayList<>();
    private boolean hasEnded;

    Program(Map<String, String> environment, List<String> command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(environment);
        process = builder.start();
        Thread.ofPlatform().daemon().start(this::read);
    }

    /** A JVM that starts soon, with what this one has. */
    static List<String> java(String main, String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED", "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC", "-Xmx64m", "-cp", System.getProperty("java.class.path"), main));
        command.addAll(List.of(arguments));
        return command;
    }

    static Program run(String... arguments) throws IOException {
        return new Program(Map.of(), java("libprefork.Programs", arguments));
    }

    private void read() {
        try (BufferedReader reader = process.inputReader()) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                add(line);
            }
        } catch (IOException e) {
            add("reader " + e);
        }
        synchronized (this) {
            hasEnded = true;
            notifyAll();
        }
    }

    private synchronized void add(String line) {
        lines.add(line);
        notifyAll();
    }

    synchronized List<String> lines(String start) {
        return lines.stream().filter(line -> line.startsWith(start)).toList();
    }

    synchronized String output() {
        return String.join("\n", lines);
    }

    /** Waits for so many lines that begin so. */
    synchronized List<String> await(String start, int count) throws InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (lines(start).size() < count) {
            long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
            assertTrue(left > 0 && !hasEnded, count + " lines of " + start + " in:\n" + output());
            wait(left);
        }
        return lines(start);
    }

    /** The words of a line. */
    static String[] words(String line) {
        return line.split(" ");
    }

    void signal(String name) throws IOException, InterruptedException {
        kill(name, process.pid());
    }

    static void kill(String name, long pid) throws IOException, InterruptedException {
        assertEquals(0, new ProcessBuilder("kill", "-" + name, Long.toString(pid)).start()
                .waitFor());
    }

    /** Waits for the end of the program and of all that has its stdout. */
    void end(int status) throws InterruptedException {
        assertTrue(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS), output());
        synchronized (this) {
            long end = System.nanoTime() + PATIENCE.toNanos();
            while (!hasEnded) {
                long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
                assertTrue(left > 0, "somebody is left of:\n" + output());
                wait(left);
            }
        }
        assertEquals(status, process.exitValue(), output());
    }

    static void until(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < end, what);
            Thread.sleep(5);
        }
    }

    @Override
    public void close() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }
}
