// SPDX-License-Identifier: MIT
package libprefork;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Refuses what the library cannot have, by the name of the setting. */
final class Checks {
    private Checks() {}

    /**
     * Returns a text that C can have. One with a NUL would be cut off there, and half of a
     * surrogate pair would be replaced.
     */
    static String text(String what, String text) {
        if (text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException(what + " contains a NUL character");
        }
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            throw new IllegalArgumentException(what + " contains half of a surrogate pair");
        }
        return text;
    }

    /** Refuses what C cannot have as the command of a program, which may be null. */
    static List<String> command(List<String> command) {
        if (command == null) {
            return null;
        }
        command.forEach(argument -> text("command", argument));
        return List.copyOf(command);
    }

    /** Refuses what C cannot have as an environment, which may be null. */
    static Map<String, String> environment(Map<String, String> environment) {
        if (environment == null) {
            return null;
        }
        environment.forEach((name, value) -> {
            text("environment", name);
            text("environment " + name, value);
            if (name.isEmpty() || name.indexOf('=') >= 0) {
                throw new IllegalArgumentException(
                        "environment: no variable has the name \"" + name + "\"");
            }
        });
        return Map.copyOf(environment);
    }

    /** A time-out of the library, rounded up: a wait for less than it would end too early. */
    static int timeoutMs(long nanos) {
        long ms = nanos / 1_000_000 + (nanos % 1_000_000 > 0 ? 1 : 0);
        return (int) Math.min(Integer.MAX_VALUE, ms);
    }

    /** Rounded up: zero has another meaning than a short time. */
    static long millis(String name, Duration duration) {
        if (Objects.requireNonNull(duration, name).isNegative()) {
            throw new IllegalArgumentException(name + ": " + duration + " is negative");
        }
        try {
            return duration.plusNanos(999_999).toMillis();
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(name + ": " + duration + " is too long", e);
        }
    }
}
