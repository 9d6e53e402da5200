// SPDX-License-Identifier: MIT

// Command upgrades counts the requests that clients lose while a server is upgraded under load: with
// this package, by Pool.Upgrade and Pool.Reload, and with tableflip, as its README shows it. It is a
// module of its own, so that the package does not depend on tableflip.
//
//	go run . [-upgrades N]
//	go run . tableflip       serves: HUP upgrades it, with PORT from the environment
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"

	prefork "libprefork.invalid/bindings/go"
)

const roleVar = "UPGRADES_ROLE"

func init() {
	runtime.LockOSThread() // for Pool.Upgrade
}

func main() {
	log.SetFlags(0)
	switch os.Getenv(roleVar) {
	case "libprefork":
		underPackage()
	case "tableflip":
		underTableflip(false)
	case "tableflip and Drainer":
		underTableflip(true)
	default:
		if len(os.Args) == 2 && os.Args[1] == "tableflip" {
			underTableflip(false)
			return
		}
		measure()
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

var handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, os.Getpid())
})

func underPackage() {
	listener, err := prefork.Listen("tcp", "127.0.0.1:0")
	must(err)
	pool, err := prefork.New(prefork.WithWorkers(1), prefork.WithReadyTimeout(time.Minute),
		prefork.WithSignals(), prefork.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	must(err)
	if prefork.TaskID() == -1 {
		fmt.Println(listener.Addr())
		events := pool.Events()
		go func() {
			for event := range events {
				switch event.Type {
				case prefork.EventAdopted:
					pool.Reload()
				case prefork.EventReloaded:
					fmt.Println("upgraded")
				}
			}
		}()
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGALRM)
		go func() {
			for range asked {
				log.Print(pool.Upgrade("", nil, nil))
			}
		}()
	}
	taskID, err := pool.Run(context.Background())
	must(err)
	if taskID >= 0 {
		must(prefork.ServeHTTP(context.Background(), &http.Server{Handler: handler}, listener))
	}
}

func underTableflip(drains bool) {
	flip, err := tableflip.New(tableflip.Options{})
	must(err)
	defer flip.Stop()
	go func() {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGALRM, syscall.SIGHUP)
		for range asked {
			must(flip.Upgrade())
		}
	}()
	listener, err := flip.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	must(err)
	fmt.Println(listener.Addr())
	server := http.Server{Handler: handler}
	var drainer *prefork.Drainer
	if drains {
		drainer = prefork.NewDrainer(&server)
		listener = drainer.Listener(listener)
	}
	go server.Serve(listener)
	must(flip.Ready())
	if flip.HasParent() {
		fmt.Println("upgraded")
	}
	<-flip.Exit()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if drains {
		must(drainer.Drain(ctx))
	} else {
		server.Shutdown(ctx)
	}
}

// load asks all the time: half of the clients keep their connections.
type load struct {
	good, lost atomic.Int64
	done       atomic.Bool
	group      sync.WaitGroup
}

func (l *load) start(address string, clients int) {
	for i := 0; i < clients; i++ {
		l.group.Add(1)
		client := http.Client{Timeout: time.Minute,
			Transport: &http.Transport{DisableKeepAlives: i%2 == 1}}
		go func() {
			defer l.group.Done()
			for !l.done.Load() {
				if ask(&client, address) > 0 {
					l.good.Add(1)
				} else {
					l.lost.Add(1)
				}
			}
		}()
	}
}

// ask returns the pid of the process that answers; 0: none.
func ask(client *http.Client, address string) int {
	answer, err := client.Get("http://" + address + "/")
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	pid, _ := strconv.Atoi(string(text))
	return pid
}

func run(role string, upgrades int) {
	path, err := os.Executable()
	must(err)
	command := exec.Command(path)
	command.Env = append(os.Environ(), roleVar+"="+role)
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := command.StdoutPipe()
	must(err)
	must(command.Start())
	defer syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	lines := bufio.NewScanner(output)
	lines.Scan()
	address := strings.TrimSpace(lines.Text())
	fresh := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	supervisor := command.Process.Pid
	for ask(&fresh, address) == 0 {
		time.Sleep(time.Millisecond)
	}
	var l load
	l.start(address, 8)
	begun := time.Now()
	for i := 0; i < upgrades; i++ {
		time.Sleep(50 * time.Millisecond)
		if role != "libprefork" { // the process that serves is another one each time
			supervisor = ask(&fresh, address)
		}
		must(syscall.Kill(supervisor, syscall.SIGALRM))
		for lines.Scan() && lines.Text() != "upgraded" {
		}
		for role != "libprefork" && ask(&fresh, address) == supervisor {
			time.Sleep(time.Millisecond)
		}
	}
	took := time.Since(begun)
	l.done.Store(true)
	l.group.Wait()
	fmt.Printf("%-21s %d upgrades in %v, %6d requests answered, %d lost\n", role, upgrades,
		took.Round(time.Millisecond), l.good.Load(), l.lost.Load())
}

func measure() {
	upgrades := flag.Int("upgrades", 20, "upgrades of each")
	flag.Parse()
	for pass := 0; pass < 2; pass++ {
		run("tableflip", *upgrades)
		run("tableflip and Drainer", *upgrades)
		run("libprefork", *upgrades)
	}
}
