// SPDX-License-Identifier: MIT

/**
 * Supervised pre-fork worker processes: libprefork by the foreign function and memory interface.
 *
 * <p>Run programs with {@code --enable-native-access=libprefork}, or {@code ALL-UNNAMED} if the jar
 * is on the class path.
 */
module libprefork {
    // sun.misc.Signal: the JVM handles HUP, INT and TERM, and nothing else gives access to them.
    requires jdk.unsupported;

    exports libprefork;
}
