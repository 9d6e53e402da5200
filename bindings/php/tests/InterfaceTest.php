<?php
/** SPDX-License-Identifier: MIT */

declare(strict_types=1);

namespace Prefork\Tests;

use PHPUnit\Framework\TestCase;
use Prefork\{Backend, Control, Counter, EventType, ExitAction, LimitAction, Pool, ProcessGroups};
use Prefork\{ReapOrphans, Reason, ReloadOrder, RestartPolicy, Signals, WorkerState};
use Prefork\Internal\Library;

/** The package agrees with the interface of the installed library. */
final class InterfaceTest extends TestCase
{
    private const ENUMS = [
        'PF_EVENT_' => EventType::class,
        'PF_RESTART_' => RestartPolicy::class,
        'PF_LIMIT_' => LimitAction::class,
        'PF_EXIT_' => ExitAction::class,
        'PF_SIGNALS_' => Signals::class,
        'PF_RELOAD_' => ReloadOrder::class,
        'PF_BACKEND_' => Backend::class,
        'PF_WORKER_' => WorkerState::class,
        'PF_REAP_' => ReapOrphans::class,
        'PF_GROUP_' => ProcessGroups::class,
        'PF_REASON_' => Reason::class,
        'PF_COUNT_' => Counter::class,
    ];

    private static array $interface;
    private static string $source;

    public static function setUpBeforeClass(): void
    {
        self::$interface = json_decode(file_get_contents(getenv('PREFORK_INTERFACE')), true);
        require_once getenv('PREFORK_PACKAGE') . '/generate.php';
        $source = dirname((new \ReflectionClass(Pool::class))->getFileName());
        self::$source = implode('', array_map('file_get_contents', [
            ...glob("$source/*.php"),
            ...glob("$source/Internal/*.php"),
        ]));
    }

    public function test_the_declarations_are_those_of_the_header(): void
    {
        $file = dirname((new \ReflectionClass(Library::class))->getFileName()) . '/cdef.h';
        self::assertSame(\declarations(self::$interface), file_get_contents($file));
    }

    public function test_each_function_is_used_or_named_as_unused(): void
    {
        preg_match_all("/(?:->|')(pf_\\w+)['(]/", self::$source, $matches);
        $used = array_flip($matches[1]);
        foreach (array_keys(self::$interface['functions']) as $name) {
            $isSetting = str_starts_with($name, 'pf_pool_set_');
            self::assertTrue(isset($used[$name]) || $isSetting || isset(\UNUSED[$name]), $name);
            self::assertFalse(isset($used[$name]) && isset(\UNUSED[$name]), $name);
        }
        self::assertSame([], array_diff_key(\UNUSED, self::$interface['functions']));
    }

    public function test_the_table_of_the_bindings_names_what_is_unused(): void
    {
        $table = dirname(getenv('PREFORK_PACKAGE')) . '/README.md';
        preg_match_all('/^\| PHP \| (.*?) \|/m', file_get_contents($table), $rows);
        preg_match_all('/`(pf_\w+)`/', implode(' ', $rows[1]), $names);
        self::assertEqualsCanonicalizing(array_keys(\UNUSED), $names[1]);
    }

    public function test_each_constant_is_that_of_the_header(): void
    {
        foreach (self::ENUMS as $prefix => $enum) {
            $expected = [];
            foreach (self::$interface['constants'] as $name => $value) {
                if (str_starts_with($name, $prefix)) {
                    $words = explode('_', strtolower(substr($name, strlen($prefix))));
                    $expected[implode('', array_map('ucfirst', $words))] = $value;
                }
            }
            if (in_array($enum, [ReapOrphans::class, ProcessGroups::class], true)) {
                $expected['None'] = 0;
            }
            $actual = array_column($enum::cases(), 'value', 'name');
            ksort($expected);
            ksort($actual);
            self::assertSame($expected, $actual, $enum);
        }
        $constants = self::$interface['constants'];
        foreach (['UNLIMITED', 'TASK_SPARE', 'EGAVEUP', 'ETHREADS', 'ERESOLVE', 'EFATAL'] as $name) {
            self::assertSame($constants["PF_$name"], constant(Library::class . "::$name"), $name);
        }
        self::assertSame(self::$interface['soname'], Library::SONAME);
        $version = self::$interface['version'];
        self::assertSame("$version.0", \Composer\InstalledVersions::getVersion('libprefork/prefork'));
        self::assertTrue(version_compare($version, Library::OLDEST, '>='));
    }

    public function test_each_setting_is_a_parameter_that_is_described(): void
    {
        $constructor = new \ReflectionMethod(Pool::class, '__construct');
        $names = array_map(static fn ($parameter) => $parameter->name, $constructor->getParameters());
        foreach ($names as $name) {
            self::assertStringContainsString(" \$$name ", $constructor->getDocComment());
        }
        $renamed = ['stop' => 'stopSignal', 'exitAction' => 'exitActions', 'foreignWorkers' => 'foreign'];
        foreach (array_keys(self::$interface['functions']) as $function) {
            if (!str_starts_with($function, 'pf_pool_set_') || isset(\UNUSED[$function])) {
                continue;
            }
            $setting = lcfirst(implode('', array_map('ucfirst', explode('_', substr($function, 12)))));
            if ($setting !== 'hostFork') {
                self::assertContains($renamed[$setting] ?? $setting, $names);
            }
        }
    }

    public function test_all_that_is_public_is_documented(): void
    {
        $files = glob(dirname((new \ReflectionClass(Pool::class))->getFileName()) . '/*.php');
        self::assertGreaterThan(20, count($files));
        foreach ($files as $file) {
            $class = new \ReflectionClass('Prefork\\' . basename($file, '.php'));
            self::assertNotFalse($class->getDocComment(), $class->name);
            foreach ($class->getMethods(\ReflectionMethod::IS_PUBLIC) as $method) {
                if ($method->isUserDefined() && str_starts_with($method->class, 'Prefork\\')) {
                    self::assertNotFalse($method->getDocComment(), "$class->name::$method->name");
                }
            }
        }
    }
}
