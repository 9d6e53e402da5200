// SPDX-License-Identifier: MIT

package prefork_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"libprefork/bindings/go"
)

const consumer = `package main

import (
	"fmt"

	"libprefork/bindings/go"
)

func main() { fmt.Println("library", prefork.Version(), prefork.TaskID()) }
`

// newModule makes a module that uses this one by a replace directive.
func newModule(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	check(t, err)
	directory := t.TempDir()
	module := "module consumer\n\ngo 1.21\n\nrequire libprefork/bindings/go v0.0.0\n\n" +
		"replace libprefork/bindings/go => " + here + "\n"
	check(t, os.WriteFile(filepath.Join(directory, "go.mod"), []byte(module), 0o600))
	check(t, os.WriteFile(filepath.Join(directory, "main.go"), []byte(consumer), 0o600))
	return directory
}

// run returns the output of a command, and its error.
func run(directory string, environment []string, name string, arguments ...string) (string, error) {
	command := exec.Command(name, arguments...)
	command.Dir = directory
	command.Env = append(os.Environ(), environment...)
	output, err := command.CombinedOutput()
	return string(output), err
}

func libraryMissingOrTooOld(t *testing.T) {
	module := newModule(t)
	program := filepath.Join(module, "consumer")
	output, err := run(module, nil, "go", "build", "-o", program, ".")
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	output, err = run(module, nil, program)
	if err != nil || output != "library "+prefork.Version()+" -1\n" {
		t.Errorf("%v: %q", err, output)
	}

	// At run time, and at build time.
	output, err = run(module, []string{"LD_LIBRARY_PATH=" + module}, program)
	if err == nil || !strings.Contains(output, "libprefork.so.0") {
		t.Errorf("missing, yet %v: %q", err, output)
	}
	// Flags that nobody uses keep go from taking what it has built before.
	build := func(environment []string, flag string) (string, error) {
		return run(module, environment, "go", "build", "-gcflags=libprefork/bindings/go="+flag,
			"-o", program, ".")
	}
	output, err = build([]string{"PKG_CONFIG_PATH=", "PKG_CONFIG_LIBDIR=" + module}, "-N")
	if err == nil || !strings.Contains(output, "prefork") ||
		!strings.Contains(output, "not found") {
		t.Errorf("missing, yet %v: %q", err, output)
	}

	// What is installed is of the time before the first version.
	header := "#define PF_VERSION_MAJOR 0\n#define PF_VERSION_MINOR 0\n#define PF_VERSION_PATCH 9\n"
	check(t, os.WriteFile(filepath.Join(module, "prefork.h"), []byte(header), 0o600))
	description := "Name: prefork\nDescription: old\nVersion: 0.0.9\nCflags: -I" + module + "\n"
	check(t, os.WriteFile(filepath.Join(module, "prefork.pc"), []byte(description), 0o600))
	output, err = build([]string{"PKG_CONFIG_PATH=" + module}, "-l")
	if err == nil || !strings.Contains(output, "need libprefork 0.2 or later") {
		t.Errorf("too old, yet %v: %q", err, output)
	}
	for running, old := range map[string]bool{"0.1.0": true, "0.2.2": true, "0.2.3": false,
		"0.2.10": false, "0.10.0": false, "1.0.0": false, "?": true} {
		err := prefork.CompareVersions(running, 0, 2, 3)
		if errors.Is(err, prefork.ErrLibraryTooOld) != old ||
			(old && !strings.Contains(err.Error(), running)) {
			t.Errorf("%s: %v", running, err)
		}
	}
}
