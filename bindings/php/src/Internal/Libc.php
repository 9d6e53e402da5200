<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Internal;

/**
 * System calls that PHP does not have.
 *
 * @internal
 */
final class Libc
{
    private const POLLIN = 1;
    private const F_SETFD = 2;
    private const FD_CLOEXEC = 1;
    /** More than any libc needs for a set of signals, and for the action of one. */
    private const SIGSET = 'char[256]';
    private const SIGACTION = 'char[512]';

    /** 31 years: any longer time is as good, and has a number that fits. */
    private const LONGEST_S = 1e9;

    private static ?\FFI $libc = null;

    public static function get(): \FFI
    {
        return self::$libc ??= \FFI::cdef(<<<'C'
            struct prefork_pollfd { int fd; short events; short revents; };
            struct prefork_timespec { long seconds; long nanoseconds; };
            int ppoll(struct prefork_pollfd *fds, unsigned long count,
                      const struct prefork_timespec *timeout, const void *mask);
            int sigfillset(void *set);
            int pthread_sigmask(int how, const void *set, void *old);
            int sigaction(int number, const void *action, void *old);
            int dup(int fd);
            int close(int fd);
            int fcntl(int fd, int command, ...);
            void _exit(int status);
            C);
    }

    /**
     * Waits until a descriptor is readable or a signal has come. Handlers of pcntl_signal run
     * before and after. A signal that comes between the first and the wait ends the wait.
     *
     * @param ?float $seconds null: no limit
     * @return bool whether the descriptor is readable
     */
    public static function wait(int $fd, ?float $seconds): bool
    {
        $libc = self::get();
        $all = $libc->new(self::SIGSET);
        $old = $libc->new(self::SIGSET);
        $libc->sigfillset($all);
        $libc->pthread_sigmask(SIG_SETMASK, $all, $old);
        try {
            pcntl_signal_dispatch();
            $poll = $libc->new('struct prefork_pollfd[1]');
            $poll[0]->fd = $fd;
            $poll[0]->events = self::POLLIN;
            $timeout = null;
            if ($seconds !== null) {
                $timeout = $libc->new('struct prefork_timespec[1]');
                $seconds = min($seconds, self::LONGEST_S);
                $timeout[0]->seconds = (int) $seconds;
                $timeout[0]->nanoseconds = (int) (fmod($seconds, 1) * 1e9);
            }
            $count = $libc->ppoll($poll, 1, $timeout, $old);
        } finally {
            $libc->pthread_sigmask(SIG_SETMASK, $old, null);
        }
        pcntl_signal_dispatch();
        return $count > 0;
    }

    /** Keeps a descriptor out of the programs that this process executes. */
    public static function closeOnExec(int $fd): void
    {
        self::get()->fcntl($fd, self::F_SETFD, self::FD_CLOEXEC);
    }

    /** The action of a signal, opaque; its first field is the handler, 0 for the default. */
    public static function action(int $signal): \FFI\CData
    {
        $action = self::get()->new(self::SIGACTION);
        self::get()->sigaction($signal, null, $action);
        return $action;
    }

    public static function isDefault(\FFI\CData $action): bool
    {
        return trim(\FFI::string($action, PHP_INT_SIZE), "\0") === '';
    }

    public static function setDefault(int $signal): void
    {
        self::get()->sigaction($signal, self::get()->new(self::SIGACTION), null);
    }
}
