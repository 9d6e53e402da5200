// SPDX-License-Identifier: MIT
package libprefork;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.ToLongBiFunction;

/**
 * The shared library, and calls of its functions and of those of libc.
 */
@SuppressWarnings("restricted") // the program allows them by --enable-native-access
final class Native {
    static final String SONAME = "libprefork.so.0";
    static final int OLDEST = 200; // as pf_version_number()

    /**
     * The functions of the library, each with its result and its parameters: i int or int32_t, u
     * uint32_t, l uint64_t, s const char *, p another pointer, v nothing. The tests compare them
     * with the header.
     */
    static final Map<String, String> PROTOTYPES = parse(
            """
            pf_version s, pf_version_number i, pf_strerror si, pf_task_id i, pf_cpu_count i,
            pf_die_of_signal ii, pf_pool_new ip, pf_pool_free pp, pf_pool_set_name ips,
            pf_pool_set_workers ipi, pf_pool_set_restart_policy ipi, pf_pool_set_max_restarts ipi,
            pf_pool_set_restart_window ipil, pf_pool_set_backoff ipll, pf_pool_set_boot_limit ipi,
            pf_pool_set_limit_action ipi, pf_pool_set_stop ipil, pf_pool_set_exit_action ipii,
            pf_pool_set_ready_timeout ipl, pf_pool_set_min_uptime ipl,
            pf_pool_set_heartbeat_timeout ipl, pf_pool_set_lifetime ipll,
            pf_pool_set_reload_order ipi, pf_pool_set_replace_width ipi, pf_pool_set_signals ipi,
            pf_pool_set_process_groups ipi, pf_pool_set_parent_death_signal ipi,
            pf_pool_set_reap_orphans ipi, pf_pool_set_manager_notify ipi, pf_pool_set_backend ipi,
            pf_pool_set_spares ipi, pf_pool_set_foreign_workers ipi,
            pf_pool_set_exec ipspp, pf_pool_add_fd ipsi, pf_pool_run ipp, pf_pool_start ip,
            pf_pool_dispatch ipi, pf_pool_next_event ipp, pf_pool_stop ip, pf_pool_kill ip,
            pf_pool_wake ip, pf_pool_reload ip, pf_pool_handle_signal ipi, pf_pool_resize ipi,
            pf_pool_replace_worker ipi, pf_pool_stop_worker ipi, pf_pool_send_signal ipii,
            pf_pool_worker_count ip, pf_pool_alive_count ip, pf_pool_worker_pid ipi,
            pf_pool_worker_state ipi, pf_pool_worker_restarts ipi, pf_pool_worker_uptime_ms lpi,
            pf_pool_counter lpi, pf_pool_stop_signal ip, pf_event_type ip, pf_event_level ip,
            pf_event_message sp, pf_event_task_id ip, pf_event_pid ip, pf_event_exit_code ip,
            pf_event_signal ip, pf_event_core_dumped ip, pf_event_will_restart ip,
            pf_event_error ip, pf_event_restarts ip, pf_event_delay_ms lp, pf_event_uptime_ms lp,
            pf_event_time_ns lp, pf_event_user_us lp, pf_event_system_us lp,
            pf_event_max_rss_kib lp, pf_event_worker_count ip, pf_event_reason ip,
            pf_worker_ready i, pf_worker_heartbeat i, pf_worker_retire i, pf_worker_stop_fd i,
            pf_worker_fd is, pf_worker_pool_name s, pf_bind_sockets isiiiupi,
            pf_bind_unix_socket isui, pf_listen_fds ipi
            """);

    private static final Linker LINKER = Linker.nativeLinker();
    private static final int PARAMETERS_MAX = 7;
    // One handle for all functions, for each one of another type would add to the time of a start.
    // In the calling conventions of Linux on 64-bit machines a parameter of an integer type or a
    // pointer is a word, extended as its sign says, and words too many are not looked at.
    private static final FunctionDescriptor WORDS = FunctionDescriptor.of(
            ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG,
            ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG);
    private static final MethodHandle CALL = LINKER.downcallHandle(WORDS);
    private static final Map<String, MemorySegment> FUNCTIONS = new ConcurrentHashMap<>();
    private static final SymbolLookup LIBRARY = load();

    private Native() {}

    private static Map<String, String> parse(String text) {
        Map<String, String> prototypes = new TreeMap<>();
        for (String entry : text.strip().split(",\\s+")) {
            String[] words = entry.split(" ");
            prototypes.put(words[0], words[1]);
        }
        return prototypes;
    }

    private static SymbolLookup load() {
        // By libc: System.getenv() would keep variables that the library removes as it is loaded.
        String named = string("getenv", "PREFORK_LIBRARY");
        String place = named == null || named.isEmpty() ? SONAME : named;
        StringBuilder reasons = new StringBuilder();
        SymbolLookup library = open(place, reasons);
        if (library == null && place.equals(SONAME)) {
            String directory = pkgConfig();
            if (!directory.isEmpty()) {
                place = directory + "/" + SONAME;
                library = open(place, reasons);
            }
        }
        if (library != null) {
            return verified(library, place);
        }
        throw new UnsatisfiedLinkError("the shared library libprefork was not found:" + reasons
                + "\nInstall libprefork and run ldconfig, or set PREFORK_LIBRARY to the path of "
                + SONAME + ".");
    }

    private static SymbolLookup open(String place, StringBuilder reasons) {
        try {
            // A name without a slash is searched for by the dynamic linker.
            return SymbolLookup.libraryLookup(place, Arena.global());
        } catch (IllegalArgumentException e) {
            reasons.append("\n  ").append(place).append(": ").append(e.getMessage());
            return null;
        }
    }

    private static String pkgConfig() {
        try {
            Process process = new ProcessBuilder("pkg-config", "--variable=libdir", "prefork")
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            return new String(process.getInputStream().readAllBytes()).strip();
        } catch (java.io.IOException e) {
            return "";
        }
    }

    private static SymbolLookup verified(SymbolLookup library, String place) {
        String problem = null;
        if (library.find("pf_version_number").isEmpty()) {
            problem = library.find("pf_version").isEmpty()
                    ? " is not libprefork" : " is too old: it has no pf_version_number";
        } else {
            int version = (int) invoke(library.find("pf_version_number").get(),
                    new long[PARAMETERS_MAX]);
            if (version < OLDEST) {
                problem = " is too old: version " + version / 10000 + "." + version / 100 % 100
                        + "." + version % 100;
            }
        }
        if (problem == null) {
            for (String name : PROTOTYPES.keySet()) {
                if (library.find(name).isEmpty()) {
                    problem = " is too old: it lacks " + name;
                    break;
                }
            }
        }
        if (problem != null) {
            throw new UnsatisfiedLinkError("the shared library " + place + problem
                    + "; libprefork 0.2.0 or later is needed. Install it, or set PREFORK_LIBRARY"
                    + " to the path of its " + SONAME + ".");
        }
        return library;
    }

    /** The address of a function of the library. */
    static MemorySegment address(String name) {
        return LIBRARY.find(name).orElseThrow();
    }

    private static MemorySegment find(String name) {
        return PROTOTYPES.containsKey(name)
                ? address(name) : LINKER.defaultLookup().find(name).orElseThrow();
    }

    private static long invoke(MemorySegment function, long... a) {
        try {
            return (long) CALL.invokeExact(function, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /** A call that keeps errno: made when first needed, for most processes never need it. */
    private static final class Errno {
        static final MemoryLayout STATE = Linker.Option.captureStateLayout();
        static final long OFFSET =
                STATE.byteOffset(MemoryLayout.PathElement.groupElement("errno"));
        static final MethodHandle CALL =
                LINKER.downcallHandle(WORDS, Linker.Option.captureCallState("errno"));

        private Errno() {}

        /** The result of the function, or a negative errno if it is -1. */
        static long invoke(MemorySegment function, long... a) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment state = arena.allocate(STATE);
                long result = (long) CALL.invokeExact(
                        function, state, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
                return (int) result == -1 ? -state.get(ValueLayout.JAVA_INT, OFFSET) : result;
            } catch (RuntimeException | Error e) {
                throw e;
            } catch (Throwable e) {
                throw new AssertionError(e);
            }
        }
    }

    private static long call(String name, Object... arguments) {
        return call(Native::invoke, name, arguments);
    }

    private static long call(ToLongBiFunction<MemorySegment, long[]> invoke, String name,
            Object... arguments) {
        MemorySegment function = FUNCTIONS.computeIfAbsent(name, Native::find);
        long[] words = new long[PARAMETERS_MAX];
        Arena arena = null;
        try {
            for (int i = 0; i < arguments.length; i++) {
                if (arguments[i] instanceof MemorySegment segment) {
                    words[i] = segment.address();
                } else if (arguments[i] instanceof String text) {
                    arena = arena == null ? Arena.ofConfined() : arena;
                    words[i] = arena.allocateFrom(Checks.text(name, text)).address();
                } else {
                    words[i] = ((Number) arguments[i]).longValue();
                }
            }
            return invoke.applyAsLong(function, words);
        } finally {
            if (arena != null) {
                arena.close();
            }
        }
    }

    static int integer(String name, Object... arguments) {
        return (int) call(name, arguments);
    }

    /** The result of a function of libc that returns an int; a negative errno if it failed. */
    static int system(String name, Object... arguments) {
        return (int) call(Errno::invoke, name, arguments);
    }

    static long number(String name, Object... arguments) {
        return call(name, arguments);
    }

    /** The string that a function returns, or null. */
    static String string(String name, Object... arguments) {
        long address = call(name, arguments);
        return address == 0 ? null
                : MemorySegment.ofAddress(address).reinterpret(Integer.MAX_VALUE).getString(0);
    }
}
