// SPDX-License-Identifier: MIT
package libprefork;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What java.nio has no way to do with descriptors. */
final class Descriptors {
    static final int AF_UNIX = 1;
    static final int AF_INET = 2;
    static final int AF_INET6 = 10;
    private static final int SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0x800 | 0x80000;
    private static final int O_CLOEXEC = 0x80000;
    private static final int SOL_SOCKET = 1;
    private static final int SO_ACCEPTCONN = 30;
    private static final int SO_COOKIE = 57;
    private static final int EPOLL_CTL_DEL = 2;
    private static final long SYS_CLOSE_RANGE = 436;
    private static final long CLOSE_RANGE_CLOEXEC = 4;
    private static final int ADDRESS_MAX = 128;

    private Descriptors() {}

    /** Workers inherit none of the descriptors of this process but those that they are given. */
    static void closeOnExec() {
        Native.number("syscall", SYS_CLOSE_RANGE, 3L, 0xffffffffL, CLOSE_RANGE_CLOEXEC);
    }

    /** The descriptors that are open. */
    static List<Integer> open() {
        List<Integer> fds = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path entry : entries) {
                fds.add(Integer.valueOf(entry.getFileName().toString()));
            }
        } catch (IOException e) {
            throw new PreforkException("/proc/self/fd", -2);
        }
        return fds;
    }

    /** The sockaddr of this end, or of the other one; null if it is not such a socket. */
    static byte[] address(int fd, boolean ofPeer) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(ADDRESS_MAX);
            MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_INT, ADDRESS_MAX);
            String function = ofPeer ? "getpeername" : "getsockname";
            if (Native.integer(function, fd, address, length) != 0) {
                return null;
            }
            byte[] bytes = address.toArray(ValueLayout.JAVA_BYTE);
            return Arrays.copyOf(bytes, Math.min(ADDRESS_MAX,
                    length.get(ValueLayout.JAVA_INT, 0)));
        }
    }

    static int family(byte[] address) {
        return (address[0] & 0xff) | (address[1] & 0xff) << 8;
    }

    static int port(byte[] address) {
        return (address[2] & 0xff) << 8 | (address[3] & 0xff);
    }

    static boolean isInternet(byte[] address) {
        return family(address) == AF_INET || family(address) == AF_INET6;
    }

    /** The path of a UNIX socket. */
    static String path(byte[] address) {
        int end = 2;
        while (end < address.length && address[end] != 0) {
            end++;
        }
        return new String(address, 2, Math.max(0, end - 2), StandardCharsets.UTF_8);
    }

    private static long option(int fd, int option, int size) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(8, 8);
            MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_INT, size);
            return Native.integer("getsockopt", fd, SOL_SOCKET, option, value, length) != 0
                    ? -1 : value.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    static boolean isListening(int fd) {
        return option(fd, SO_ACCEPTCONN, 4) == 1;
    }

    static boolean isSameSocket(int a, int b) {
        long cookie = option(a, SO_COOKIE, 8);
        return cookie != -1 && cookie == option(b, SO_COOKIE, 8);
    }

    /** Makes to the same open file as from. */
    static void replace(int to, int from) {
        if (Native.integer("dup3", from, to, O_CLOEXEC) < 0) {
            throw new PreforkException("descriptor " + to, -9);
        }
    }

    /** A listening socket that nobody connects to. */
    static int deafSocket() {
        int fd = Native.integer("socket", AF_UNIX, SOCK_STREAM_NONBLOCK_CLOEXEC, 0);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(8, 8);
            address.set(ValueLayout.JAVA_SHORT, 0, (short) AF_UNIX);
            // An address of two bytes: the kernel chooses an abstract name.
            if (fd < 0 || Native.integer("bind", fd, address, 2) != 0
                    || Native.integer("listen", fd, 1) != 0) {
                throw new PreforkException("socket", -24);
            }
        }
        return fd;
    }

    /** No selector of this process waits for it any more. */
    static void removeFromSelectors(int fd) {
        for (int epoll : open()) {
            Path info = Path.of("/proc/self/fdinfo/" + epoll);
            try {
                if (Files.readString(info).matches("(?s).*tfd: *" + fd + " .*")) {
                    Native.integer("epoll_ctl", epoll, EPOLL_CTL_DEL, fd, MemorySegment.NULL);
                }
            } catch (IOException e) {
                // It was closed meanwhile.
            }
        }
    }
}
