package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// limitOf replaces the machine's limit of inotify instances by a file.
func limitOf(t *testing.T, value string) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "limit")
	if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	machines := inotifyLimit
	inotifyLimit = path
	t.Cleanup(func() { inotifyLimit = machines })
	return func() string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(content))
	}
}

func labWithHosts(t *testing.T, hosts int) *Lab {
	t.Helper()
	lab := labIn(t)
	err := deployment(t, lab, "acme", "aaaaaa").change(context.Background(), func(r *record) error {
		for number := range hosts {
			r.Hosts[fmt.Sprintf("acme-%d", number)] = hostRecord{}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lab
}

func TestManyHostsRaiseTheLimitAndTheLastSetsItBack(t *testing.T) {
	limit := limitOf(t, "128\n")
	lab := labWithHosts(t, 20)
	for range 2 {
		if err := lab.raiseInotify(); err != nil {
			t.Fatal(err)
		}
	}
	if got := limit(); got != "2048" {
		t.Fatalf("20 hosts leave the limit at %s", got)
	}
	if err := lab.restoreMachine(); err != nil {
		t.Fatal(err)
	}
	if got := limit(); got != "128" {
		t.Errorf("the limit stays at %s", got)
	}
	if exists(lab.machinePath()) {
		t.Error("the note stays")
	}
}

func TestALimitThatSomeoneElseChangedStays(t *testing.T) {
	limit := limitOf(t, "128")
	lab := labWithHosts(t, 20)
	if err := lab.raiseInotify(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(inotifyLimit, []byte("4096"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := lab.restoreMachine(); err != nil {
		t.Fatal(err)
	}
	if got := limit(); got != "4096" {
		t.Errorf("someone's 4096 became %s", got)
	}
}

func TestOnlyTheFoldersOfOthersThatAreEmptyGo(t *testing.T) {
	machines := borrowedFolders
	t.Cleanup(func() { borrowedFolders = machines })
	top := t.TempDir()
	empty, used, foreign := filepath.Join(top, "empty"), filepath.Join(top, "used"), filepath.Join(top, "foreign")
	borrowedFolders = []string{empty, used}
	for _, folder := range []string{filepath.Join(empty, "below"), used, foreign} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(used, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{empty, used, foreign} {
		if err := removeBorrowed(folder); err != nil {
			t.Fatal(err)
		}
	}
	if exists(empty) || !exists(used) || !exists(foreign) {
		t.Errorf("empty is there: %t, used: %t, foreign: %t", exists(empty), exists(used), exists(foreign))
	}
}
