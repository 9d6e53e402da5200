#!/bin/sh
# Measure the examples beside unicorn and Puma's cluster, each with its application preloaded.
#
#   LOAD=build/tests/programs/load bindings/ruby/measure.sh PREFIX
#
# PREFIX: where the library is installed. Prints rows of a table, see bindings/measure.py.
#
# SPDX-License-Identifier: MIT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
measure=$here/../measure.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

PREFORK_LIBRARY=$(PKG_CONFIG_PATH=$1/lib/pkgconfig pkg-config --variable=libdir prefork)/libprefork.so.0
RUBYLIB=$here/lib${RUBYLIB:+:$RUBYLIB}
export PREFORK_LIBRARY RUBYLIB

cat >"$work/config.ru" <<'RU'
run(lambda do |_env|
  body = "hello from pid #{Process.pid}\n"
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
end)
RU

"$measure" "libprefork, TCPServer" -- ruby "$here/examples/hello.rb"
"$measure" "libprefork, Puma" -- ruby "$here/examples/rack_puma.rb"

# Puma's master restarts all at USR2. USR1, a phased restart, excludes preload_app.
cat >"$work/puma.rb" <<'RB'
bind "tcp://127.0.0.1:#{ENV.fetch('PORT')}"
workers Integer(ENV.fetch("WORKERS"))
threads 5, 5
preload_app!
RB
sed '/preload_app/d' "$work/puma.rb" >"$work/phased.rb"
if command -v puma >/dev/null; then
    "$measure" --reload USR2 "puma cluster, preload (USR2)" -- puma -q -C "$work/puma.rb" "$work/config.ru"
    "$measure" --reload USR1 "puma cluster, phased (USR1)" -- puma -q -C "$work/phased.rb" "$work/config.ru"
else
    echo "puma: skipped: there is no puma" >&2
fi

# HUP of a unicorn that preloads restarts workers without the new code; it is what its users call a reload.
cat >"$work/unicorn.rb" <<'RB'
listen "127.0.0.1:#{ENV.fetch('PORT')}"
worker_processes Integer(ENV.fetch("WORKERS"))
preload_app true
RB
if command -v unicorn >/dev/null; then
    "$measure" "unicorn, preload (HUP)" -- unicorn -c "$work/unicorn.rb" "$work/config.ru"
else
    echo "unicorn: skipped: there is no unicorn" >&2
fi
