// SPDX-License-Identifier: MIT

// What is measured of bindings/go/examples/server; it stands beside its main.go.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

func init() {
	if prefork.TaskID() != -1 { // a worker
		if os.Getenv("FAIL") != "" {
			os.Exit(1)
		}
		ms, _ := strconv.Atoi(os.Getenv("START_MS"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
	} else if file := os.Getenv("FOREIGN"); file != "" {
		go keepStatus(file)
	}
}

func keepStatus(file string) {
	command := exec.Command("sh", "-c", "sleep 0.1; exit 7")
	err := command.Start()
	time.Sleep(time.Second)
	if err == nil {
		err = command.Wait()
	}
	text := fmt.Sprint(err)
	if command.ProcessState != nil {
		text = fmt.Sprint(command.ProcessState.ExitCode())
	}
	os.WriteFile(file, []byte(text+"\n"), 0o644)
}
