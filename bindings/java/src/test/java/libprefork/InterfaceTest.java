// SPDX-License-Identifier: MIT
package libprefork;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.ToIntFunction;
import org.junit.jupiter.api.Test;

/** The declarations and constants agree with those of the installed library. */
class InterfaceTest {
    // What is not used, and why: bindings/README.md has the table.
    private static final Set<String> UNUSED = Set.of(
            // A JVM cannot fork.
            "pf_fork_processes", "pf_pool_set_worker_fn", "pf_pool_set_host_fork",
            "pf_pool_fork_prepare", "pf_pool_fork_parent", "pf_pool_fork_child",
            "pf_pool_set_thread_policy", "pf_daemonize", "pf_daemon_ready",
            // It belongs in the main thread.
            "pf_upgrade",
            // A pool is iterated.
            "pf_set_event_callback", "pf_pool_set_event_callback", "pf_pool_fd",
            // Workers need it.
            "pf_pool_set_stop_fd",
            // Java says the same.
            "pf_accept", "pf_event_type_name");

    private final JsonObject header = read();

    private static JsonObject read() {
        try {
            return JsonParser.parseString(Files.readString(
                    Path.of(System.getenv("PREFORK_INTERFACE")))).getAsJsonObject();
        } catch (java.io.IOException e) {
            throw new AssertionError(e);
        }
    }

    private static String type(JsonElement type) {
        String name = type.getAsString();
        return switch (name) {
            case "int", "int32_t" -> "i";
            case "uint32_t" -> "u";
            case "uint64_t" -> "l";
            case "const char *" -> "s";
            default -> {
                assertTrue(name.endsWith("*"), name);
                yield "p";
            }
        };
    }

    @Test
    void each_prototype_is_that_of_the_header() {
        JsonObject functions = header.getAsJsonObject("functions");
        Native.PROTOTYPES.forEach((name, types) -> {
            JsonObject function = functions.getAsJsonObject(name);
            StringBuilder expected = new StringBuilder(type(function.get("returns")));
            function.getAsJsonArray("parameters").forEach(parameter ->
                    expected.append(type(parameter.getAsJsonObject().get("type"))));
            // A string that may be NULL is passed as a pointer.
            String given = name.equals("pf_bind_sockets") ? types.replaceFirst("^ip", "is")
                    : name.equals("pf_pool_set_exec") ? types.replaceFirst("^ipp", "ips") : types;
            assertEquals(expected.toString(), given, name);
        });
    }

    @Test
    void each_function_is_used_or_named_as_unused() {
        Set<String> rest = new TreeSet<>(header.getAsJsonObject("functions").keySet());
        rest.removeAll(Native.PROTOTYPES.keySet());
        assertEquals(new TreeSet<>(UNUSED), rest);
    }

    private <E extends Enum<E>> void compare(String prefix, Class<E> type,
            ToIntFunction<E> number) {
        Map<String, Integer> expected = new TreeMap<>();
        header.getAsJsonObject("constants").entrySet().stream()
                .filter(entry -> entry.getKey().startsWith(prefix))
                .forEach(entry -> expected.put(entry.getKey().substring(prefix.length()),
                        entry.getValue().getAsInt()));
        if (type == ReapOrphans.class || type == ProcessGroups.class) {
            expected.put("NONE", 0);
        }
        Map<String, Integer> given = new TreeMap<>();
        for (E value : type.getEnumConstants()) {
            if (!value.name().equals("UNKNOWN")) {
                given.put(value.name(), number.applyAsInt(value));
            }
        }
        assertEquals(expected, given, prefix);
    }

    @Test
    void each_constant_is_that_of_the_header() {
        compare("PF_EVENT_", EventType.class, value -> value.number);
        compare("PF_REASON_", Reason.class, value -> value.number);
        compare("PF_WORKER_", WorkerState.class, value -> value.number);
        compare("PF_COUNT_", Counter.class, value -> value.number);
        compare("PF_RESTART_", RestartPolicy.class, value -> value.number);
        compare("PF_LIMIT_", LimitAction.class, value -> value.number);
        compare("PF_EXIT_", ExitAction.class, value -> value.number);
        compare("PF_RELOAD_", ReloadOrder.class, value -> value.number);
        compare("PF_SIGNALS_", Signals.class, value -> value.number);
        compare("PF_BACKEND_", Backend.class, value -> value.number);
        compare("PF_REAP_", ReapOrphans.class, value -> value.number);
        compare("PF_GROUP_", ProcessGroups.class, value -> value.number);
        JsonObject constants = header.getAsJsonObject("constants");
        assertEquals(PreforkException.GAVE_UP, constants.get("PF_EGAVEUP").getAsInt());
        assertEquals(PreforkException.THREADS, constants.get("PF_ETHREADS").getAsInt());
        assertEquals(PreforkException.RESOLVE, constants.get("PF_ERESOLVE").getAsInt());
        assertEquals(PreforkException.FATAL, constants.get("PF_EFATAL").getAsInt());
        assertEquals(Integer.MAX_VALUE, constants.get("PF_UNLIMITED").getAsInt());
        assertEquals(1, constants.get("PF_BIND_REUSEPORT").getAsInt());
    }

    @Test
    void the_versions_agree() {
        assertEquals(header.get("version").getAsString(), Prefork.version());
        assertEquals(header.get("soname").getAsString(), Native.SONAME);
        assertTrue(Prefork.cpuCount() > 0);
    }
}
