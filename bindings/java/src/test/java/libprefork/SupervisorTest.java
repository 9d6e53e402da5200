// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The scenarios of bindings/README.md, those of a supervisor that is a program of its own. */
class SupervisorTest {
    @Test
    void restart_with_the_same_id() throws Exception {
        try (Program program = Program.run("again", "stay", "2", "STANDARD")) {
            List<String> workers = program.await("worker", 2);
            String victim = workers.stream().filter(l -> l.startsWith("worker 1 ")).findFirst()
                    .orElseThrow();
            Program.kill("KILL", Long.parseLong(Program.words(victim)[2]));
            assertTrue(program.await("worker 1 ", 2).stream().distinct().count() == 2);
            program.signal("TERM");
            program.end(128 + 15);
        }
    }

    @Test
    void clean_exit() throws Exception {
        try (Program program = Program.run("clean", "exit", "2", "STANDARD")) {
            program.end(0);
            assertEquals(2, program.lines("event EXITED").size());
            assertEquals(List.of("end 0"), program.lines("end"));
        }
    }

    @Test
    void limit_gives_up() throws Exception {
        try (Program program = Program.run("limit", "throw", "1", "NONE")) {
            program.end(5);
            assertEquals(3, program.lines("worker 0 ").size());
            assertTrue(program.lines("gave-up -4097 1 ").size() == 1, program.output());
            assertTrue(program.output().contains("thrown by the worker"));
        }
    }

    @ParameterizedTest
    @CsvSource({"stay, STANDARD, TERM, 15", "sleep, NONE, TERM, 15", "stay, STOP_ONLY, HUP, 1"})
    void terminated_supervisor_leaves_nobody(String work, String signals, String signal,
            int number) throws Exception {
        try (Program program = Program.run("term", work, "2", signals)) {
            program.await("worker", 2);
            program.signal(signal);
            // The reader's end of file says that no worker has its stdout any more.
            program.end(128 + number);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"stay", "sleep", "deaf"})
    void killed_supervisor_leaves_nobody(String work) throws Exception {
        try (Program program = Program.run("killed", work, "1", "STANDARD")) {
            program.await("worker", 1);
            program.signal("KILL");
            program.end(128 + 9);
        }
    }

    @Test
    void ctrl_c_within_100_ms() throws Exception {
        List<Long> took = new ArrayList<>();
        do { // the best of some: the machine may be busy
            try (Program program = Program.run("interrupt", "stay", "1", "STANDARD")) {
                program.await("worker", 1);
                long sent = System.nanoTime();
                program.signal("INT");
                long noticed = Long.parseLong(
                        Program.words(program.await("event STOPPING", 1).get(0))[6]);
                program.end(128 + 2);
                took.add(noticed - sent);
            }
        } while (took.getLast() >= 100_000_000 && took.size() < 20);
        assertTrue(took.getLast() < 100_000_000, took + " ns");
    }

    @Test
    void under_Xrs_the_library_handles_the_signals() throws Exception {
        List<String> command = Program.java("libprefork.Programs", "xrs", "stay", "1", "STANDARD");
        command.add(1, "-Xrs");
        try (Program program = new Program(Map.of(), command)) {
            program.await("staying", 1);
            program.signal("QUIT");
            program.end(128 + 3);
            assertEquals(List.of("end 3"), program.lines("end"));
            assertEquals(1, program.lines("stopping").size());
        }
    }

    @Test
    void a_hangup_reloads() throws Exception {
        try (Program program = Program.run("hangup", "stay", "1", "STANDARD")) {
            program.await("worker", 1);
            program.signal("HUP");
            program.await("event RELOADED", 1);
            program.await("stopping", 1);
            program.signal("TERM");
            program.end(128 + 15);
            assertTrue(program.lines("event SIGNAL_UNAVAILABLE").isEmpty());
        }
    }

    @Test
    void descriptors_of_the_supervisor_are_not_inherited() throws Exception {
        try (Program program = Program.run("leak", "leak", "1", "STANDARD")) {
            assertEquals(List.of("sockets 0"), program.await("sockets", 1));
            assertEquals(List.of("pipes 0"), program.await("pipes", 1));
            program.signal("TERM");
            program.end(128 + 15);
        }
    }
}
