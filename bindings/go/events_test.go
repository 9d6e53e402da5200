// SPDX-License-Identifier: MIT

package prefork_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	prefork "libprefork.invalid/bindings/go"
)

// Nobody has to read events for workers to be looked after, and none is lost.
func TestUnreadEvents(t *testing.T) {
	p := newPool(t, "exit", prefork.WithWorkers(1), prefork.WithMaxRestarts(150),
		prefork.WithCommand("", nil, append(os.Environ(), programVar+"=exit", value("3"))))
	p.run(context.Background())
	for i := 0; i < 40; i++ { // twice as many events: more than the channel holds
		p.hear()
	}
	var before, after syscall.Rusage
	began := time.Now()
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	time.Sleep(300 * time.Millisecond)
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	used := time.Duration(after.Utime.Nano() - before.Utime.Nano())
	if elapsed := time.Since(began); used > elapsed/2 {
		t.Errorf("used the processor for %v of %v", used, elapsed)
	}
	go func() {
		for i := 0; i < 111; i++ {
			p.hear()
		}
	}()
	if err := p.result(); !errors.Is(err, prefork.ErrGaveUp) {
		t.Errorf("error %v", err)
	}
	started, ended := 0, 0
	for _, event := range p.seen {
		switch event.Type {
		case prefork.EventStarted:
			started++
		case prefork.EventExited:
			ended++
		}
	}
	if started != 151 || ended != 151 {
		t.Errorf("%d started, %d ended", started, ended)
	}
}

// A stop ends the pool, with nobody who reads events.
func TestStopWithUnreadEvents(t *testing.T) {
	p := newPool(t, "idle", prefork.WithWorkers(200), prefork.WithCommand("/bin/sleep",
		[]string{"sleep", "1000"}, []string{}))
	p.run(context.Background())
	eventually(t, "many workers live", func() bool {
		alive, err := p.AliveCount()
		return err == nil && alive >= 100
	})
	check(t, p.Stop())
	select {
	case <-p.ended:
		check(t, p.err)
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// Events go to the logger, with their level and fields.
func TestLogger(t *testing.T) {
	var mutex sync.Mutex
	var text bytes.Buffer
	logger := slog.New(slog.NewTextHandler(writerFunc(func(line []byte) (int, error) {
		mutex.Lock()
		defer mutex.Unlock()
		return text.Write(line)
	}), nil))
	p := newPool(t, "idle", prefork.WithWorkers(1), prefork.WithLogger(logger))
	p.run(context.Background())
	p.hearTasks(1)
	check(t, p.SendSignal(0, syscall.SIGKILL))
	p.hearTasks(1)
	check(t, p.end())
	for _, expected := range []string{"level=INFO msg=\"Starting 1 processes\" event=Starting\n",
		"level=WARN msg=\"child 0 (pid ", "signal=9 will_restart=true", "event=Done"} {
		if !strings.Contains(text.String(), expected) {
			t.Errorf("no %q in %s", expected, text.String())
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(text []byte) (int, error) { return f(text) }
