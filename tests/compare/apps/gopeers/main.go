// SPDX-License-Identifier: MIT

// Command gopeers is the application of the peers in Go. It answers with the pid of its process.
//
//	gopeers fiber|tableflip
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"
	"github.com/gofiber/fiber/v3"
)

var (
	address = "127.0.0.1:" + os.Getenv("PORT")
	held    []byte
)

func main() {
	log.SetFlags(0)
	switch os.Args[1] {
	case "fiber":
		serveFiber()
	case "tableflip":
		serveTableflip()
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func number(name string) int {
	value, _ := strconv.Atoi(os.Getenv(name))
	return value
}

// beginWorker is called in each worker, before it serves.
func beginWorker() {
	if os.Getenv("FAIL") != "" {
		os.Exit(1)
	}
	time.Sleep(time.Duration(number("START_MS")) * time.Millisecond)
}

// beginSupervisor is called in the supervisor, before it makes workers.
func beginSupervisor() {
	held = make([]byte, number("BALLAST_MIB")<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	if path := os.Getenv("FOREIGN"); path != "" {
		go runForeign(path)
	}
}

func runForeign(path string) {
	command := exec.Command("sh", "-c", "sleep 0.1; exit 7")
	must(command.Start())
	time.Sleep(time.Second)
	text := "0"
	if err := command.Wait(); command.ProcessState != nil {
		text = strconv.Itoa(command.ProcessState.ExitCode())
	} else if err != nil {
		text = err.Error()
	}
	must(os.WriteFile(path, []byte(text+"\n"), 0o644))
}

func text() string { return fmt.Sprintf("hello from pid %d\n", os.Getpid()) }

// serveFiber has a worker for each processor that Go uses: GOMAXPROCS says how many.
func serveFiber() {
	if fiber.IsChild() {
		beginWorker()
	} else {
		beginSupervisor()
	}
	app := fiber.New()
	app.Get("/", func(c fiber.Ctx) error { return c.SendString(text()) })
	must(app.Listen(address, fiber.ListenConfig{EnablePrefork: true, DisableStartupMessage: true}))
}

func serveTableflip() {
	upgrader, err := tableflip.New(tableflip.Options{PIDFile: os.Getenv("PID_FILE")})
	must(err)
	defer upgrader.Stop()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	go func() {
		for range asked {
			if err := upgrader.Upgrade(); err != nil {
				log.Print("upgrade: ", err)
			}
		}
	}()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		upgrader.Stop()
	}()
	listener, err := upgrader.Listen("tcp", address)
	must(err)
	beginWorker()
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, text())
	})}
	go server.Serve(listener)
	must(upgrader.Ready())
	<-upgrader.Exit()
	must(server.Shutdown(context.Background()))
}
