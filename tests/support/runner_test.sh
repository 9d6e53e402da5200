#!/bin/sh
# What runs the tests: a test that leaves a process, or that does not end, is a failure, and its
# processes are killed, in whatever session they are. Its make ends.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh

# A test that leaves a process in a session of its own, and does not wait for it.
leave='setsid sleep 600 & echo $! >"$1/pid"'

write_test() { # name, commands
    mkdir "$scratch/$1"
    {
        echo '#!/bin/sh'
        echo "set -- '$scratch/$1'"
        echo "$2"
    } >"$scratch/$1/$1_test.sh"
    chmod +x "$scratch/$1/$1_test.sh"
}

write_test good 'sleep 0 & exit 0'
write_test early 'sleep 0.3 & exit 0'
write_test leaving "$leave"
write_test hanging "$leave
wait"
# One whose environment is empty has the session still.
write_test bare 'env -i sleep 600 & echo $! >"$1/pid"'
write_test respawning 'setsid sh -c "while :; do setsid sleep 600; done" & echo $! >"$1/pid"'

cat >"$scratch/Makefile" <<END
all:
	+@tests/support/run.sh $scratch/*/*_test.sh
END
status=0
limit_s=$((2 * ${TEST_TIME_SCALE:-1}))
TEST_LIMIT_S=$limit_s TEST_GRACE_S=1 MAKEFLAGS='' timeout $((60 + 15 * limit_s)) \
    "${MAKE:-make}" --no-print-directory -j2 -f "$scratch/Makefile" \
    >"$scratch/output" 2>&1 || status=$?
fail_shows=$scratch/output

test "$status" -ne 124 || fail 'make did not end'
test "$status" -ne 0 || fail 'no test failed'
grep -q '^2 passed, 4 failed$' "$scratch/output" || fail 'the counts are wrong'
for name in good early; do
    grep -q "^  ok   .*${name}_test.sh" "$scratch/output" || fail "$name did not pass"
done
for name in leaving hanging bare respawning; do
    grep -q "^  FAIL .*${name}_test.sh" "$scratch/output" || fail "$name did not fail"
    read -r pid <"$scratch/$name/pid"
    is_gone "$pid" || fail "$name: process $pid is not killed"
    grep -q "left behind, and killed: $pid " "$scratch/output" || fail "$name: does not name $pid"
done
grep -q "stopped: not done within $limit_s s" "$scratch/output" || fail 'the limit is not named'
