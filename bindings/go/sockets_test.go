// SPDX-License-Identifier: MIT

package prefork_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

// ask returns the answer of a new connection.
func ask(network, address string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, address)
		},
	}}
	answer, err := client.Get("http://worker/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func sharedListeningSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	calls := []string{"tcp=127.0.0.1:0", "tcp=127.0.0.1:0", "unix=" + socket, "tcp4=:0"}
	closed, err := prefork.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, closed.Close()) // it does not count
	var open []net.Listener
	for _, call := range calls {
		network, address, _ := strings.Cut(call, "=")
		listener, err := prefork.Listen(network, address)
		check(t, err)
		defer listener.Close()
		open = append(open, listener)
	}
	p := newPool(t, "server", prefork.WithWorkers(2), prefork.WithReadyTimeout(patience),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"=server",
			valueVar+"="+strings.Join(calls, " ")))).run(context.Background())
	p.hearTasks(2)
	for _, listener := range open {
		address := listener.Addr()
		answers := map[string]bool{}
		eventually(t, "both workers answer at "+address.String(), func() bool {
			text, err := ask(address.Network(), address.String())
			check(t, err)
			answers[text] = true
			return answers["0"] && answers["1"]
		})
		raw, err := listener.(syscall.Conn).SyscallConn()
		check(t, err)
		check(t, raw.Control(func(descriptor uintptr) {
			flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, descriptor, syscall.F_GETFL, 0)
			if flags&syscall.O_NONBLOCK == 0 {
				t.Errorf("%v blocks", address)
			}
		}))
	}
	check(t, p.end())
}

// Sockets that systemd has opened are those of the workers, too.
func TestActivation(t *testing.T) {
	if none, err := prefork.ActivationListeners(); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	file, err := listener.(*net.TCPListener).File()
	check(t, err)
	defer file.Close()
	address := listener.Addr()
	check(t, listener.Close())
	command := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0"`, os.Args[0])
	command.Env = append(os.Environ(), programVar+"=activated")
	command.ExtraFiles = []*os.File{file}
	p := startCommand(t, command)
	p.line("serves 1")
	p.line("serves 1")
	answers := map[string]bool{}
	eventually(t, "both workers answer", func() bool {
		text, err := ask(address.Network(), address.String())
		check(t, err)
		answers[text] = true
		return answers["0"] && answers["1"]
	})
	check(t, p.Process.Signal(syscall.SIGTERM))
	p.status()
	p.expectGone()
}

// load asks the server all the time, over connections that are kept and over new ones.
type load struct {
	group        sync.WaitGroup
	done         atomic.Bool
	good, failed atomic.Int64
	mutex        sync.Mutex
	versions     map[string]int
	first        error
}

func startLoad(url string, clients int) *load {
	l := &load{versions: map[string]int{}}
	for i := 0; i < clients; i++ {
		l.group.Add(1)
		keep := i%2 == 0
		go func() {
			defer l.group.Done()
			client := http.Client{Timeout: patience,
				Transport: &http.Transport{DisableKeepAlives: !keep}}
			defer client.CloseIdleConnections()
			for !l.done.Load() {
				l.note(get(&client, url))
			}
		}()
	}
	return l
}

func get(client *http.Client, url string) (string, error) {
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	good := answer.StatusCode == http.StatusOK && bytes.HasPrefix(text, []byte("Hello"))
	if err == nil && !good {
		err = fmt.Errorf("%s: %q", answer.Status, text)
	}
	return string(text), err
}

func (l *load) note(text string, err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err != nil {
		l.failed.Add(1)
		l.first = err
		return
	}
	l.good.Add(1)
	_, version, _ := strings.Cut(strings.TrimSpace(text), "version ")
	l.versions[version]++
}

// build builds the example server into a new file and puts it in its place.
func build(t *testing.T, path, version string) {
	t.Helper()
	command := exec.Command("go", "build", "-ldflags", "-X main.version="+version,
		"-o", path+".new", "./examples/server")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	check(t, os.Rename(path+".new", path))
}

// rollingReload replaces all workers under load, first by the same program, then by one that was
// built anew.
func rollingReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server")
	build(t, path, "one")
	command := exec.Command(path, "-p", "0", "-n", "2")
	p := startCommand(t, command)
	url := "http://" + p.line(`listening on (.*)`)[1] + "/"
	check(t, waitForServer(url))
	asked := startLoad(url, 6)
	for _, version := range []string{"one", "two"} {
		if version == "two" {
			build(t, path, "two")
		}
		before := pidsOf(p.Process.Pid)
		check(t, p.Process.Signal(syscall.SIGHUP))
		eventually(t, "all workers are new", func() bool {
			now := pidsOf(p.Process.Pid)
			for pid := range before {
				if now[pid] {
					return false
				}
			}
			return len(now) == 2
		})
		// Answers of old workers may still be on the way to be noted.
		for _, count := range []int{20, 100} {
			asked.mutex.Lock()
			asked.versions = map[string]int{}
			asked.mutex.Unlock()
			eventually(t, "requests are answered", func() bool {
				asked.mutex.Lock()
				defer asked.mutex.Unlock()
				return asked.versions[version] > count
			})
		}
	}
	asked.done.Store(true)
	asked.group.Wait()
	t.Logf("%d requests answered, %d failed", asked.good.Load(), asked.failed.Load())
	if asked.failed.Load() != 0 {
		t.Errorf("%d requests failed: %v", asked.failed.Load(), asked.first)
	}
	if asked.versions["one"] != 0 {
		t.Errorf("the old program answered at the end: %v", asked.versions)
	}
	check(t, p.Process.Signal(syscall.SIGTERM))
	if status := p.status(); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("status %#x", int(status))
	}
	p.expectGone()
}

func waitForServer(url string) error {
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	_, err := get(&client, url)
	return err
}

func pidsOf(supervisor int) map[string]bool {
	all := map[string]bool{}
	for _, pid := range childrenOf(fmt.Sprint(supervisor)) {
		all[pid] = true
	}
	return all
}

// A server that is stopped answers what it has begun to answer.
func TestExampleFinishesRequests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server")
	build(t, path, "one")
	p := startCommand(t, exec.Command(path, "-p", "0", "-n", "1"))
	url := "http://" + p.line(`listening on (.*)`)[1] + "/"
	check(t, waitForServer(url))
	answers := make(chan error)
	sent := make(chan struct{})
	go func() {
		connection, err := net.Dial("tcp", strings.Trim(url, "htp:/"))
		if err == nil {
			defer connection.Close()
			_, err = fmt.Fprintf(connection, "GET /?sleep=0.5 HTTP/1.0\r\n\r\n")
			close(sent)
			var text []byte
			if err == nil {
				text, err = io.ReadAll(connection)
			}
			if err == nil && !bytes.Contains(text, []byte("Hello")) {
				err = fmt.Errorf("answer %q", text)
			}
		}
		answers <- err
	}()
	<-sent
	// The one worker has it once it answers another request that came later.
	check(t, waitForServer(url))
	time.Sleep(50 * time.Millisecond)
	check(t, p.Process.Signal(syscall.SIGTERM))
	check(t, <-answers)
	p.status()
	p.expectGone()
}
