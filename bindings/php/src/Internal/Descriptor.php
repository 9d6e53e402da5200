<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Internal;

use Prefork\{InvalidValueException, Listener, PreforkException};

/**
 * The numbers of open files, which PHP hides, and streams for them.
 *
 * @internal
 */
final class Descriptor
{
    private const S_IFMT = 0170000;
    private const S_IFSOCK = 0140000;

    /**
     * A stream for a duplicate of a descriptor. It is closed in programs that this process executes.
     *
     * @return resource
     */
    public static function stream(int $fd)
    {
        $libc = Libc::get();
        $next = $libc->dup($fd); // the number that PHP's own duplicate gets
        if ($next < 0) {
            throw new PreforkException("descriptor $fd cannot be opened", -9);
        }
        $libc->close($next);
        $stream = @fopen("php://fd/$fd", 'r+');
        if ($stream === false) {
            throw new PreforkException("descriptor $fd cannot be opened", -9);
        }
        Libc::closeOnExec($next);
        return $stream;
    }

    /** The number of an open file. */
    public static function of(string $parameter, mixed $file): int
    {
        if (is_int($file)) {
            return $file;
        }
        if ($file instanceof Listener) {
            return $file->fd;
        }
        if (class_exists(\Socket::class) && $file instanceof \Socket) {
            $file = socket_export_stream($file);
        }
        if (!is_resource($file) || get_resource_type($file) !== 'stream') {
            throw new InvalidValueException($parameter, 'descriptors, streams or sockets', $file);
        }
        $wanted = fstat($file);
        $mode = stream_get_meta_data($file)['mode'];
        $found = [];
        // Not /proc/self: PHP caches where that leads, also over a fork.
        $directory = '/proc/' . getmypid();
        foreach ($wanted === false ? [] : scandir("$directory/fd") as $number) {
            $status = ctype_digit($number) ? @stat("$directory/fd/$number") : false;
            if ($status !== false && $status['ino'] === $wanted['ino'] && $status['dev'] === $wanted['dev']
                && self::isOpenFor((int) $number, $mode)) {
                $found[] = (int) $number;
            }
        }
        $isSocket = $wanted !== false && ($wanted['mode'] & self::S_IFMT) === self::S_IFSOCK;
        if ($found === [] || (count($found) > 1 && !$isSocket)) {
            throw new InvalidValueException(
                $parameter,
                'the number of the descriptor, which cannot be found',
                $file,
            );
        }
        return $found[0];
    }

    /** The ends of a pipe are one file, and differ in how they are open. */
    private static function isOpenFor(int $fd, string $mode): bool
    {
        if (!preg_match('/^flags:\s*(\d+)/m', @file_get_contents('/proc/' . getmypid() . "/fdinfo/$fd") ?: '', $match)) {
            return false;
        }
        $access = octdec($match[1]) & 3;
        return str_contains($mode, '+') ? $access === 2 : $access === ($mode[0] === 'r' ? 0 : 1);
    }
}
