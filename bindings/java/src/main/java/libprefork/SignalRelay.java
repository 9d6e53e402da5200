// SPDX-License-Identifier: MIT
package libprefork;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * Passes the signals that the JVM handles on to the pools: HUP, INT and TERM. The library handles
 * all others itself, and under -Xrs also these.
 */
final class SignalRelay {
    private static final int HUP = 1;
    private static final int QUIT = 3;
    private static final int USR2 = 12;
    private static final String[] OF_THE_JVM = {"HUP", "INT", "TERM"};

    private static final List<Pool> POOLS = new ArrayList<>();
    private static final Map<Signal, SignalHandler> BEFORE = new HashMap<>();

    private SignalRelay() {}

    static synchronized void add(Pool pool) {
        if (pool.signals() == Signals.NONE) {
            return;
        }
        if (POOLS.isEmpty()) {
            handle(SignalRelay::receive, BEFORE, OF_THE_JVM);
        }
        POOLS.add(pool);
    }

    static synchronized void remove(Pool pool) {
        if (POOLS.remove(pool) && POOLS.isEmpty()) {
            BEFORE.forEach(Signal::handle);
            BEFORE.clear();
        }
    }

    /**
     * Has an action run at these signals, with the number, for the life of this process.
     *
     * @return whether the JVM lets a program handle any of them
     */
    static boolean handle(IntConsumer action, String... names) {
        Map<Signal, SignalHandler> before = new HashMap<>();
        handle(action, before, names);
        return !before.isEmpty();
    }

    private static void handle(IntConsumer action,
            Map<Signal, SignalHandler> before, String... names) {
        for (String name : names) {
            try {
                Signal signal = new Signal(name);
                before.put(signal,
                        Signal.handle(signal, s -> action.accept(s.getNumber())));
            } catch (IllegalArgumentException e) {
                // -Xrs: the signal has its default disposition.
            }
        }
    }

    private static synchronized void receive(int signal) {
        for (Pool pool : POOLS) {
            try {
                if (pool.signals() == Signals.STOP_ONLY && signal == HUP) {
                    pool.stopBy(HUP);
                } else {
                    pool.handleSignal(signal);
                }
            } catch (PreforkException e) {
                // It is done, which its thread finds out next. The other pools get the signal.
            }
        }
    }

    /** Whether the library cannot have the signal: a pool does not report that. */
    static synchronized boolean isOfTheJvm(int signal) {
        return signal == QUIT || signal == USR2
                || BEFORE.keySet().stream().anyMatch(s -> s.getNumber() == signal);
    }
}
