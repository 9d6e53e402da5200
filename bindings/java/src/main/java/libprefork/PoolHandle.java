// SPDX-License-Identifier: MIT
package libprefork;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;
import java.util.function.ToIntFunction;

/** The pool of the library, and who may call it when. */
final class PoolHandle {
    private final State state = new State();
    // Held while the library works on the pool. Fair, so that a caller beside dispatch gets it.
    private final ReentrantLock lock = new ReentrantLock(true);
    // Held for the calls that any thread may make at any time, against the end of the pool.
    private final Object lifetime = new Object();

    /** What is released if the program has lost the pool. */
    private static final class State implements Runnable {
        final Arena arena = Arena.ofShared();
        final MemorySegment cell = arena.allocate(ValueLayout.ADDRESS);
        MemorySegment handle;

        void free() {
            Native.number("pf_pool_free", handle);
            handle = null;
            arena.close();
        }

        @Override
        public void run() {
            if (handle != null) {
                System.getLogger("libprefork").log(System.Logger.Level.WARNING,
                        "a pool was not closed: its workers are killed");
                free();
            }
        }
    }

    /** Its thread exists in supervisors only. */
    private static final class Lost {
        static final Cleaner CLEANER = Cleaner.create();

        private Lost() {}
    }

    PoolHandle() {
        PreforkException.check("pool", Native.integer("pf_pool_new", state.cell));
        state.handle = state.cell.get(ValueLayout.ADDRESS, 0);
    }

    /** From now on it is freed when nothing uses it any more. */
    void freeWhenLost() {
        Lost.CLEANER.register(this, state);
    }

    boolean isOpen() {
        return state.handle != null;
    }

    MemorySegment open() {
        if (state.handle == null) {
            throw new IllegalStateException("the pool is closed");
        }
        return state.handle;
    }

    void free() {
        synchronized (lifetime) {
            state.free();
        }
    }

    /** A call that any thread may make while another one waits in {@link #dispatch}. */
    void control(String function, String what, Object... arguments) {
        synchronized (lifetime) {
            Object[] all = new Object[arguments.length + 1];
            all[0] = open();
            System.arraycopy(arguments, 0, all, 1, arguments.length);
            PreforkException.check(what, Native.integer(function, all));
        }
        Reference.reachabilityFence(this);
    }

    int call(String what, ToIntFunction<MemorySegment> function) {
        return PreforkException.check(what, locked(() -> function.applyAsInt(open())));
    }

    void lock() throws InterruptedException {
        lock.lockInterruptibly();
    }

    void unlock() {
        lock.unlock();
        Reference.reachabilityFence(this);
    }

    /** Runs it while no other thread works on the pool. One that waits in the library is woken. */
    int locked(IntSupplier body) {
        boolean wasInterrupted = false;
        try {
            while (!tryLock()) {
                synchronized (lifetime) {
                    if (isOpen()) {
                        Native.integer("pf_pool_wake", state.handle);
                    }
                }
                wasInterrupted |= Thread.interrupted();
            }
            try {
                return body.getAsInt();
            } finally {
                unlock();
            }
        } finally {
            if (wasInterrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private boolean tryLock() {
        try {
            // Without contention at once, else in the queue, which a fair lock serves in order.
            return lock.tryLock() || lock.tryLock(5, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** The oldest pending event, or null. */
    Event event() {
        return Native.integer("pf_pool_next_event", open(), state.cell) == 1
                ? Event.of(state.cell.get(ValueLayout.ADDRESS, 0)) : null;
    }

    /** The result of the library. An interrupt of this thread ends the wait. */
    int dispatch(int timeoutMs) throws InterruptedException {
        return new Wait().dispatch(timeoutMs);
    }

    private final class Wait extends AbstractInterruptibleChannel {
        int dispatch(int timeoutMs) throws InterruptedException {
            try {
                begin();
                try {
                    return Native.integer("pf_pool_dispatch", open(), timeoutMs);
                } finally {
                    end(true);
                }
            } catch (AsynchronousCloseException e) {
                Thread.interrupted();
                throw new InterruptedException();
            }
        }

        @Override
        protected void implCloseChannel() {
            control("pf_pool_wake", "wake");
        }
    }

    static int setExec(MemorySegment handle, List<String> command,
            Map<String, String> environment) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment none = MemorySegment.NULL;
            MemorySegment argv = command == null ? none : strings(arena, command);
            MemorySegment envp = environment == null ? none : strings(arena,
                    environment.entrySet().stream().map(e -> e.getKey() + "=" + e.getValue())
                            .toList());
            MemorySegment path = command == null || command.isEmpty()
                    ? none : argv.get(ValueLayout.ADDRESS, 0);
            return Native.integer("pf_pool_set_exec", handle, path, argv, envp);
        }
    }

    private static MemorySegment strings(Arena arena, List<String> strings) {
        MemorySegment array = arena.allocate(ValueLayout.ADDRESS, strings.size() + 1);
        for (int i = 0; i < strings.size(); i++) {
            array.setAtIndex(ValueLayout.ADDRESS, i, arena.allocateFrom(strings.get(i)));
        }
        return array;
    }
}
