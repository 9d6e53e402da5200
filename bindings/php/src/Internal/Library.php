<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Internal;

use Prefork\{FatalExitException, GaveUpException, LibraryException};
use Prefork\{PreforkException, ResolveException, ThreadsException};

/**
 * The shared library, loaded at first use.
 *
 * @internal
 */
final class Library
{
    public const SONAME = 'libprefork.so.0';
    /** The oldest library that this package can use. */
    public const OLDEST = '0.2.0';

    public const UNLIMITED = 2147483647;
    public const TASK_SPARE = -2;
    public const EGAVEUP = -4097;
    public const ETHREADS = -4098;
    public const ERESOLVE = -4099;
    public const EFATAL = -4100;

    private static ?\FFI $lib = null;
    /** The process that was started as a worker by exec, until it has become one; 0: none. */
    private static int $executedWorker = 0;

    public static function get(): \FFI
    {
        return self::$lib ??= self::load();
    }

    /** Throws what a result means, if it is an error. */
    public static function check(int $result, string $what): int
    {
        if ($result < 0) {
            throw self::failure($result, $what);
        }
        return $result;
    }

    public static function failure(int $code, string $what): PreforkException
    {
        $message = "$what: " . self::get()->pf_strerror($code);
        return match ($code) {
            self::EGAVEUP => new GaveUpException($message, $code),
            self::ETHREADS => new ThreadsException($message, $code),
            self::ERESOLVE => new ResolveException($message, $code),
            self::EFATAL => new FatalExitException($message, $code),
            default => new PreforkException($message, $code),
        };
    }

    /** Whether this process executed its program as a worker of this pool, and is not one yet. */
    public static function isExecutedWorkerOf(string $name): bool
    {
        $lib = self::get();
        if (self::$executedWorker !== getmypid()) {
            return false;
        }
        $pool = $lib->pf_worker_pool_name();
        if ($pool !== null && $pool !== $name) {
            throw new PreforkException("this process is a worker of the pool \"$pool\", and must "
                . "run that before it starts the pool \"$name\"", -114);
        }
        return $pool !== null;
    }

    public static function becameWorker(): void
    {
        self::$executedWorker = 0;
    }

    private static function load(): \FFI
    {
        if (!class_exists(\FFI::class)) {
            throw new LibraryException('prefork: the extension ffi is missing or disabled');
        }
        [$probe, $place] = self::open();
        $version = $probe->pf_version();
        if (version_compare($version, self::OLDEST, '<')) {
            throw self::tooOld($place, $version, '');
        }
        try {
            $lib = \FFI::cdef(file_get_contents(__DIR__ . '/cdef.h'), $place);
        } catch (\FFI\Exception $error) {
            preg_match("/'(pf_\\w+)'/", $error->getMessage(), $match);
            throw self::tooOld($place, $version, ' and lacks ' . ($match[1] ?? 'a function'));
        }
        if ($lib->pf_task_id() !== -1) {
            self::$executedWorker = getmypid();
        }
        self::forgetEnvironment();
        return $lib;
    }

    /** PHP has copied the environment before the library removed its own variables from it. */
    private static function forgetEnvironment(): void
    {
        foreach (array_keys($_SERVER + $_ENV) as $name) {
            if (preg_match('/^(PF|LISTEN)_/', (string) $name) && getenv($name) === false) {
                unset($_SERVER[$name], $_ENV[$name]);
            }
        }
    }

    /** @return array{\FFI, string} the library with only its version, and where it is */
    private static function open(): array
    {
        $reasons = '';
        foreach (self::places() as $place) {
            try {
                return [\FFI::cdef('const char *pf_version(void);', $place), $place];
            } catch (\FFI\Exception $error) {
                if (str_contains($error->getMessage(), 'pf_version')) {
                    throw new LibraryException("prefork: $place is not libprefork");
                }
                if (str_contains($error->getMessage(), 'ffi.enable')) {
                    throw new LibraryException("prefork: {$error->getMessage()}");
                }
                $reasons .= "  $place: {$error->getMessage()}\n";
            }
        }
        throw new LibraryException("prefork: the shared library libprefork was not found:\n$reasons"
            . 'Install libprefork and run ldconfig, or set PREFORK_LIBRARY to the path of '
            . self::SONAME . '.');
    }

    /** @return iterable<string> where the library may be; a place that the user names is the only one */
    private static function places(): iterable
    {
        $named = getenv('PREFORK_LIBRARY');
        if (is_string($named) && $named !== '') {
            yield $named;
            return;
        }
        yield self::SONAME;
        $directory = @shell_exec('pkg-config --variable=libdir prefork 2>/dev/null');
        if (is_string($directory) && trim($directory) !== '') {
            yield trim($directory) . '/' . self::SONAME;
        }
    }

    private static function tooOld(string $place, string $version, string $lacks): LibraryException
    {
        return new LibraryException("prefork: the shared library $place has version $version$lacks; "
            . 'libprefork ' . self::OLDEST . ' or later is needed.');
    }
}
