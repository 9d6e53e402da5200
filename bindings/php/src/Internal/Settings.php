<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Internal;

use FFI\CData;
use Prefork\{ExitAction, InvalidValueException};

/**
 * The settings of a pool: their ranges, and how the library gets them.
 *
 * @internal
 */
final class Settings
{
    private const SECONDS = 'a number of seconds that is not negative';
    private const COUNT = '0 to 65,536';

    /** What each may be, for messages. */
    private const RANGES = [
        'backend' => 'a Backend that this system supports',
        'backoff' => 'two numbers of seconds: the first delay, and the largest, which is not smaller',
        'bootLimit' => '0 to 2,147,483,647; 0: no limit',
        'exitActions' => 'exit statuses, 0 to 255, with an ExitAction each',
        'fds' => 'names of 1 to 255 bytes without colon, with an open descriptor each',
        'foreign' => 'true only where exec is a list',
        'heartbeatTimeout' => self::SECONDS,
        'lifetime' => 'two numbers of seconds: the age, and its random part',
        'maxRestarts' => '0 to 2,147,483,647; negative: 100',
        'minUptime' => self::SECONDS,
        'name' => 'at most 63 bytes without NUL',
        'parentDeathSignal' => 'the number of a signal; 0: none',
        'readyTimeout' => self::SECONDS,
        'replaceWidth' => '1 to 65,536',
        'restartWindow' => 'a number of restarts, 1 to 65,536, and a number of seconds; 0, 0: none',
        'signal' => 'the number of a signal',
        'spares' => self::COUNT,
        'stopSignal' => 'the number of a signal; 0: none',
        'stopTimeout' => self::SECONDS . '; 0: no limit',
        'taskId' => 'the number of a slot of the pool',
        'workers' => self::COUNT . '; 0: one for each processor',
        'count' => '1 to 65,536',
    ];

    /** By how the library gets them: as one number, flag, string or enum, */
    private const SINGLE = ['name', 'workers', 'restartPolicy', 'maxRestarts', 'bootLimit', 'limitAction',
        'reloadOrder', 'replaceWidth', 'signals', 'processGroups', 'parentDeathSignal', 'stopFd',
        'reapOrphans', 'managerNotify', 'backend', 'spares'];
    /** as one duration, */
    private const DURATIONS = ['readyTimeout', 'minUptime', 'heartbeatTimeout'];
    /** and as two. */
    private const PAIRS = ['backoff', 'lifetime'];

    /**
     * Gives the pool the parameters of its constructor.
     *
     * @param array<string, mixed> $values
     */
    public static function apply(CData $pool, array $values): void
    {
        $lib = Library::get();
        if ($values['maxRestarts'] === PHP_INT_MAX) {
            $values['maxRestarts'] = Library::UNLIMITED;
        }
        foreach (self::SINGLE as $name) {
            self::set($pool, self::setter($name), $name, $values[$name]);
        }
        foreach (self::DURATIONS as $name) {
            $milliseconds = self::milliseconds($name, $values[$name]);
            $setter = 'pf_pool_set_' . self::setter($name);
            self::check($lib->$setter($pool, $milliseconds), $name, $values[$name]);
        }
        foreach (self::PAIRS as $name) {
            [$first, $second] = self::pair($name, $values[$name]);
            $first = self::milliseconds($name, $first);
            $second = self::milliseconds($name, $second);
            self::check($lib->{'pf_pool_set_' . $name}($pool, $first, $second), $name, $values[$name]);
        }
        [$most, $window] = self::pair('restartWindow', $values['restartWindow']);
        $most = self::int32('restartWindow', $most);
        $window = self::milliseconds('restartWindow', $window);
        $result = $lib->pf_pool_set_restart_window($pool, $most, $window);
        self::check($result, 'restartWindow', $values['restartWindow']);
        $timeout = self::milliseconds('stopTimeout', $values['stopTimeout']);
        $signal = self::int32('stopSignal', $values['stopSignal']);
        self::check($lib->pf_pool_set_stop($pool, $signal, $timeout), 'stopSignal', $signal);
        foreach ($values['exitActions'] as $status => $action) {
            $number = $action instanceof ExitAction ? $action->value : -1;
            $code = self::int32('exitActions', $status);
            $result = $lib->pf_pool_set_exit_action($pool, $code, $number);
            self::check($result, 'exitActions', $status);
        }
        if ($values['exec'] === false) {
            Library::check($lib->pf_pool_set_host_fork($pool, 1), 'Pool');
        } else {
            self::program($pool, $values['exec'], $values['env']);
            $foreign = (int) $values['foreign'];
            Library::check($lib->pf_pool_set_foreign_workers($pool, $foreign), 'foreign');
        }
        self::fds($pool, $values['fds']);
    }

    private static function setter(string $parameter): string
    {
        return strtolower(preg_replace('/[A-Z]/', '_$0', $parameter));
    }

    public static function error(string $parameter, mixed $value): InvalidValueException
    {
        return new InvalidValueException($parameter, self::RANGES[$parameter] ?? 'valid', $value);
    }

    /** Throws what a result means; EINVAL names the parameter. */
    public static function check(int $result, string $parameter, mixed $value): int
    {
        if ($result === -PCNTL_EINVAL) {
            throw self::error($parameter, $value);
        }
        return Library::check($result, $parameter);
    }

    /** Gives the pool one setting: numbers as they are, strings, flags and enums. */
    public static function set(
        CData $pool,
        string $setter,
        string $parameter,
        mixed $value,
    ): void {
        $c = match (true) {
            $value instanceof \BackedEnum => $value->value,
            is_bool($value) => (int) $value,
            is_int($value) => self::int32($parameter, $value),
            default => $value,
        };
        if (is_string($c) && str_contains($c, "\0")) {
            throw self::error($parameter, $value);
        }
        self::check(Library::get()->{"pf_pool_set_$setter"}($pool, $c), $parameter, $value);
    }

    public static function int32(string $parameter, mixed $value): int
    {
        if (!is_int($value) || $value < -0x80000000 || $value > 0x7fffffff) {
            throw self::error($parameter, $value);
        }
        return $value;
    }

    /** A duration in whole milliseconds: rounded up, so that one that is not 0 stays so. */
    public static function milliseconds(string $parameter, mixed $seconds): int
    {
        if (!(is_int($seconds) || is_float($seconds)) || !($seconds >= 0 && $seconds < 1e12)) {
            throw self::error($parameter, $seconds);
        }
        return max((int) ceil(round($seconds * 1000, 3)), $seconds > 0 ? 1 : 0);
    }

    /** @return array{mixed, mixed} */
    public static function pair(string $parameter, array $value): array
    {
        if (count($value) !== 2 || !array_is_list($value)) {
            throw self::error($parameter, $value);
        }
        return $value;
    }

    /**
     * The program of workers by exec.
     *
     * @param true|non-empty-list<string> $program true: this one
     * @param ?array<string, string> $env
     */
    public static function program(CData $pool, bool|array $program, ?array $env): void
    {
        $path = null;
        if (is_array($program)) {
            if (!array_is_list($program) || !is_string($program[0] ?? null)) {
                throw new InvalidValueException('exec', 'true, or a program and its arguments', $program);
            }
            $path = Strings::program('exec', $program[0]);
        }
        $arguments = new Strings('exec', is_array($program) ? $program : null);
        $environment = Strings::environment($env);
        Library::check(
            Library::get()->pf_pool_set_exec($pool, $path, $arguments->array, $environment->array),
            'exec',
        );
    }

    /** @param array<string, mixed> $files */
    public static function fds(CData $pool, array $files): void
    {
        foreach ($files as $name => $file) {
            if (!is_string($name) || str_contains($name, "\0")) {
                throw self::error('fds', $name);
            }
            $fd = self::int32('fds', Descriptor::of('fds', $file));
            self::check(Library::get()->pf_pool_add_fd($pool, $name, $fd), 'fds', $name);
        }
    }
}
