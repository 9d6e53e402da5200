<?php
/**
 * Writes src/Internal/cdef.h, what PHP has to know of the library:
 *
 *     php generate.php PREFIX/share/libprefork/prefork.json > src/Internal/cdef.h
 *
 * PHP looks up each function that is declared when it loads the library, so what the package does
 * not use is left out. The tests run this and compare.
 *
 * SPDX-License-Identifier: MIT
 */

declare(strict_types=1);

/** What the package does not use, and why. The table of bindings/README.md has the same. */
const UNUSED = [
    'pf_fork_processes' => 'pcntl_fork makes the workers',
    'pf_pool_set_worker_fn' => 'pcntl_fork makes the workers',
    'pf_set_event_callback' => 'no exception may leave a function of PHP that C calls',
    'pf_pool_set_event_callback' => 'no exception may leave a function of PHP that C calls',
    'pf_pool_set_thread_policy' => 'the library does not count threads where the host forks',
    'pf_accept' => 'stream_socket_accept does the same',
    'pf_version_number' => 'pf_version says the same',
];

/** The declarations as C has them. */
function declarations(array $interface): string
{
    $text = '';
    foreach ($interface['opaque_types'] as $type) {
        $text .= "typedef struct $type $type;\n";
    }
    foreach ($interface['functions'] as $name => $function) {
        if (isset(UNUSED[$name])) {
            continue;
        }
        $parameters = [];
        foreach ($function['parameters'] as $parameter) {
            $space = str_ends_with($parameter['type'], '*') ? '' : ' ';
            $parameters[] = $parameter['type'] . $space . $parameter['name'];
        }
        $space = str_ends_with($function['returns'], '*') ? '' : ' ';
        $list = $parameters === [] ? 'void' : implode(', ', $parameters);
        $text .= "{$function['returns']}$space$name($list);\n";
    }
    return "/* Made by generate.php from prefork.json of libprefork.\n"
        . " * SPDX-License-Identifier: MIT */\n" . $text;
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    $json = file_get_contents($argv[1] ?? exit("usage: generate.php PREFORK.JSON\n"));
    echo declarations(json_decode($json, true, flags: JSON_THROW_ON_ERROR));
}
