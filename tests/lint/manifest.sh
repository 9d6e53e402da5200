#!/bin/sh
# The example manifest is YAML, and its grace period is longer than what comes out of it.
#
# SPDX-License-Identifier: MIT
set -eu

manifest=man/examples/deployment.yaml
pod=.spec.template.spec
found=0

if python3 -c 'import yaml' 2>/dev/null; then
    value() {
        python3 - "$manifest" "$1" <<'END'
import re, sys, yaml
value = yaml.safe_load(open(sys.argv[1]))
for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", sys.argv[2]):
    value = value[name] if name else value[int(index)]
print(value)
END
    }
elif command -v yq >/dev/null; then
    value() {
        yq -r "$1" "$manifest"
    }
else
    echo "skipped: neither python3-yaml nor yq is there"
    exit 77
fi

complain() {
    echo "$manifest: $1"
    found=1
}

kind=$(value .kind)
grace=$(value "$pod.terminationGracePeriodSeconds")
pause=$(value "$pod.containers[0].lifecycle.preStop.exec.command[1]")
program=$(value "$pod.containers[0].command[0]")
test "$kind" = Deployment || complain "is no Deployment but: $kind"
# The pool's stop time-out is 10 s.
test "$grace" -gt $((pause + 10)) || complain "a grace period of $grace s is too short"
test "$program" = /usr/local/bin/daemon || complain "PID 1 is not the supervisor but: $program"

exit "$found"
