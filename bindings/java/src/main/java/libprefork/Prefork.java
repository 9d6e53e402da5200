// SPDX-License-Identifier: MIT
package libprefork;

/** What concerns the library and this process. Any thread may call it. */
public final class Prefork {
    private Prefork() {}

    /**
     * Returns the version of the shared library.
     *
     * @return such as "0.2.0"
     */
    public static String version() {
        return Native.string("pf_version");
    }

    /**
     * Counts the processors that this process may use: its CPU affinity and the quota of its
     * control groups.
     *
     * @return at least 1
     */
    public static int cpuCount() {
        return Native.integer("pf_cpu_count");
    }

    /**
     * Ends this process as a signal would, usually the one of {@link Pool#stopSignal}. Shutdown
     * hooks do not run. Close the pools before.
     *
     * @param signal the number; 0 has no effect
     * @throws IllegalArgumentException if the default action of the signal does not end a process
     */
    public static void dieOfSignal(int signal) {
        if (signal != 0) {
            System.out.flush();
            System.err.flush();
            PreforkException.check("signal " + signal,
                    Native.integer("pf_die_of_signal", signal));
        }
    }
}
