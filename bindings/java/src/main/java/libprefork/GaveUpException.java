// SPDX-License-Identifier: MIT
package libprefork;

import java.util.Optional;

/**
 * The pool has stopped all workers, because there were too many restarts, no worker got ready, or
 * a worker exited with a status of {@link ExitAction#FATAL}.
 */
public final class GaveUpException extends PreforkException {
    private static final long serialVersionUID = 1L;

    /** Not serialized. */
    private final transient Event lastExit;

    GaveUpException(String what, int code, Event lastExit) {
        super(lastExit == null ? what : what + ": " + lastExit.message(), code);
        this.lastExit = lastExit;
    }

    /**
     * Returns how the last worker ended that ended abnormally.
     *
     * @return its {@link EventType#EXITED}; empty if none ended, because none could be started
     */
    public Optional<Event> lastExit() {
        return Optional.ofNullable(lastExit);
    }
}
