// SPDX-License-Identifier: MIT
package libprefork;

import java.util.Map;

/**
 * A function of libprefork failed. A value that is out of range is an
 * {@link IllegalArgumentException} instead.
 */
public class PreforkException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** {@link #code}: too many restarts, or no worker got ready. */
    public static final int GAVE_UP = -4097;
    /** {@link #code}: other threads run. Workers by exec never cause it. */
    public static final int THREADS = -4098;
    /** {@link #code}: the name of a host was not found. */
    public static final int RESOLVE = -4099;
    /** {@link #code}: a worker exited with a status of {@link ExitAction#FATAL}. */
    public static final int FATAL = -4100;

    static final int EAGAIN = 11;
    static final int EINVAL = 22;
    static final int EINTR = 4;
    static final int ECHILD = 10;

    private static final Map<Integer, String> NAMES = Map.ofEntries(
            Map.entry(1, "EPERM"), Map.entry(2, "ENOENT"), Map.entry(3, "ESRCH"),
            Map.entry(4, "EINTR"), Map.entry(5, "EIO"), Map.entry(7, "E2BIG"),
            Map.entry(8, "ENOEXEC"), Map.entry(9, "EBADF"), Map.entry(20, "ENOTDIR"),
            Map.entry(21, "EISDIR"), Map.entry(30, "EROFS"), Map.entry(36, "ENAMETOOLONG"),
            Map.entry(38, "ENOSYS"), Map.entry(97, "EAFNOSUPPORT"),
            Map.entry(10, "ECHILD"), Map.entry(11, "EAGAIN"), Map.entry(12, "ENOMEM"),
            Map.entry(13, "EACCES"), Map.entry(16, "EBUSY"), Map.entry(17, "EEXIST"),
            Map.entry(22, "EINVAL"), Map.entry(23, "ENFILE"), Map.entry(24, "EMFILE"),
            Map.entry(28, "ENOSPC"), Map.entry(40, "ELOOP"), Map.entry(95, "EOPNOTSUPP"),
            Map.entry(98, "EADDRINUSE"), Map.entry(99, "EADDRNOTAVAIL"),
            Map.entry(105, "ENOBUFS"), Map.entry(114, "EALREADY"), Map.entry(125, "ECANCELED"));

    /** A negative errno or a code of the library. */
    private final int code;

    PreforkException(String what, int code) {
        super(what + ": " + describe(code));
        this.code = code;
    }

    private static String describe(int code) {
        String name = NAMES.get(-code);
        return Native.string("pf_strerror", code) + (name == null ? "" : " (" + name + ")");
    }

    /**
     * Returns the code of the library.
     *
     * @return a negative errno, or one of {@link #GAVE_UP}, {@link #THREADS}, {@link #RESOLVE} and
     *     {@link #FATAL}
     */
    public int code() {
        return code;
    }

    /**
     * Returns the errno.
     *
     * @return a positive errno of Linux; 0 for the library's own codes
     */
    public int errno() {
        return code > -4096 ? -code : 0;
    }

    /** Returns result, unless it is an error. */
    static int check(String what, int result) {
        if (result >= 0) {
            return result;
        }
        PreforkException error = new PreforkException(what, result);
        if (result == -EINVAL) {
            throw new IllegalArgumentException(error.getMessage(), error);
        }
        throw error;
    }
}
