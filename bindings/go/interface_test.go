// SPDX-License-Identifier: MIT

package prefork_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The families of constants that this package has names for. The errors of forks and of names of
// hosts cannot come here: workers are made by exec, and package net opens sockets.
var bound = regexp.MustCompile(`^PF_(EVENT|RESTART|LIMIT|EXIT|RELOAD|BACKEND|WORKER|REASON|COUNT|GROUP|TASK)_|^PF_E(GAVEUP|FATAL)$`)

// What this package does not use: bindings/README.md tells why.
var unreached = regexp.MustCompile(`^pf_(pool_set_(worker_fn|host_fork|thread_policy|signals|` +
	`event_callback|reap_orphans|stop_fd)|pool_fork_.*|set_event_callback|bind_.*|accept|daemon.*|` +
	`event_type_name|version_number)$`)

// The C compiler holds the types and numbers of what this package uses against the header. Here it
// is seen that nothing of the interface has been forgotten.
func TestEveryConstantOfTheLibraryHasAName(t *testing.T) {
	path, err := exec.Command("pkg-config", "--variable=interface", "prefork").Output()
	check(t, err)
	text, err := os.ReadFile(strings.TrimSpace(string(path)))
	check(t, err)
	var described struct {
		Constants map[string]int
		Functions map[string]any
	}
	check(t, json.Unmarshal(text, &described))
	if len(described.Constants) < 40 || len(described.Functions) < 80 {
		t.Fatalf("%d constants, %d functions", len(described.Constants), len(described.Functions))
	}

	used := map[string]bool{}
	files, err := filepath.Glob("*.go")
	check(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		check(t, err)
		for _, word := range regexp.MustCompile(`\bC\.((?:PF|pf)_\w+)`).FindAllSubmatch(source, -1) {
			used[string(word[1])] = true
		}
	}
	shim, err := os.ReadFile("shim.h")
	check(t, err)
	for _, word := range regexp.MustCompile(`\b(pf_\w+)\(`).FindAllSubmatch(shim, -1) {
		used[string(word[1])] = true
	}
	for name := range described.Functions {
		if used[name] == unreached.MatchString(name) {
			t.Errorf("%s: used is %v, see the table of bindings/README.md", name, used[name])
		}
	}
	for name := range described.Constants {
		// Go cannot fork, so no event asks for it.
		if bound.MatchString(name) && !used[name] && name != "PF_EVENT_FORK_WANTED" {
			t.Errorf("%s is used nowhere", name)
		}
	}
}
