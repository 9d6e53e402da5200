// SPDX-License-Identifier: MIT
package libprefork;

/** Which children are reaped besides the workers, in PID 1 or a subreaper. */
public enum ReapOrphans {
    /** None. The default. */
    NONE(0),
    /** Those that were adopted while the library waited, never a child of the program. */
    ADOPTED(1),
    /** Every child. Only for programs that start no other process. */
    ALL(2);

    final int number;

    ReapOrphans(int number) {
        this.number = number;
    }
}
