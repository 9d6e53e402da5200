// SPDX-License-Identifier: MIT
package libprefork;

import java.util.Iterator;
import java.util.NoSuchElementException;

/** The events of a pool until it is done. */
final class EventIterator implements Iterator<Event> {
    private final Pool pool;
    private Event event;

    EventIterator(Pool pool) {
        this.pool = pool;
    }

    @Override
    public boolean hasNext() {
        try {
            if (event == null) {
                event = pool.next().orElse(null);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new PreforkException("pool", -PreforkException.EINTR);
        }
        return event != null;
    }

    @Override
    public Event next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        Event result = event;
        event = null;
        return result;
    }
}
