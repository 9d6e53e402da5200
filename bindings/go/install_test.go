// SPDX-License-Identifier: MIT

package prefork_test

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	prefork "libprefork.invalid/bindings/go"
)

const consumer = `package main

import (
	"fmt"

	prefork "libprefork.invalid/bindings/go"
)

func main() { fmt.Println("library", prefork.Version(), prefork.TaskID()) }
`

const testedVersion = "v0.2.0"

// modulePath is the path that go.mod gives this module.
func modulePath(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	check(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	path := strings.TrimPrefix(line, "module ")
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		t.Errorf("go get takes no module %s: its first element has no dot", path)
	}
	if !strings.HasSuffix(path, "/bindings/go") {
		t.Errorf("tags bindings/go/%s are not of module %s", testedVersion, path)
	}
	return path
}

// newProxy makes a module proxy in a directory, which has this module as a tag would publish it.
func newProxy(t *testing.T, path string) string {
	t.Helper()
	proxy := t.TempDir()
	directory := filepath.Join(proxy, path, "@v")
	check(t, os.MkdirAll(directory, 0o700))
	write := func(name, text string) {
		check(t, os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600))
	}
	module, err := os.ReadFile("go.mod")
	check(t, err)
	write("list", testedVersion+"\n")
	write(testedVersion+".info", `{"Version":"`+testedVersion+`"}`)
	write(testedVersion+".mod", string(module))
	file, err := os.Create(filepath.Join(directory, testedVersion+".zip"))
	check(t, err)
	defer file.Close()
	archive := zip.NewWriter(file)
	check(t, filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." { // another module is not published with this one
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return fs.SkipDir
			}
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(name)
		check(t, err)
		packed, err := archive.Create(path + "@" + testedVersion + "/" + filepath.ToSlash(name))
		check(t, err)
		_, err = packed.Write(text)
		return err
	}))
	check(t, archive.Close())
	return proxy
}

// newModule makes a module that has got this one by go get.
func newModule(t *testing.T) string {
	t.Helper()
	path := modulePath(t)
	directory := t.TempDir()
	check(t, os.WriteFile(filepath.Join(directory, "go.mod"), []byte("module consumer\n\ngo 1.21\n"), 0o600))
	check(t, os.WriteFile(filepath.Join(directory, "main.go"), []byte(consumer), 0o600))
	t.Setenv("GOPROXY", "file://"+newProxy(t, path))
	t.Setenv("GOFLAGS", "-mod=mod -modcacherw")
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOSUMDB", "off")
	output, err := run(directory, nil, "go", "get", path+"@"+testedVersion)
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return directory
}

// The module that is published has its licence.
func TestLicenceIsInTheModule(t *testing.T) {
	text, err := os.ReadFile("LICENSE")
	if err != nil || !strings.Contains(string(text), "MIT License") {
		t.Errorf("%v: %q", err, text)
	}
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
		return run(module, environment, "go", "build", "-gcflags="+modulePath(t)+"="+flag,
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
