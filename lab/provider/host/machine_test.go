package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// limitsOf replaces the machine's limits by files that hold what most kernels begin with.
func limitsOf(t *testing.T) func(path string) string {
	t.Helper()
	machines := limitsFolder
	limitsFolder = t.TempDir()
	t.Cleanup(func() { limitsFolder = machines })
	for number, value := range []string{"128\n", "1024\n", "512\n"} {
		path := filepath.Join(limitsFolder, limits[number].path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(path string) string {
		content, err := os.ReadFile(filepath.Join(limitsFolder, path))
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

func wantLimits(t *testing.T, shown func(string) string, want ...string) {
	t.Helper()
	for number, one := range limits {
		if got := shown(one.path); got != want[number] {
			t.Errorf("%s is %s, not %s", one.path, got, want[number])
		}
	}
}

func TestManyHostsRaiseTheLimitsAndTheLastSetsThemBack(t *testing.T) {
	shown := limitsOf(t)
	lab := labWithHosts(t, 33)
	for range 2 {
		if err := lab.raiseLimits(); err != nil {
			t.Fatal(err)
		}
	}
	wantLimits(t, shown, "2048", "16384", "16384")
	if err := lab.restoreMachine(); err != nil {
		t.Fatal(err)
	}
	wantLimits(t, shown, "128", "1024", "512")
	if exists(lab.machinePath()) {
		t.Error("the note stays")
	}
}

func TestALimitThatSomeoneElseChangedStays(t *testing.T) {
	shown := limitsOf(t)
	lab := labWithHosts(t, 20)
	if err := lab.raiseLimits(); err != nil {
		t.Fatal(err)
	}
	if err := writeLimit(inotifyInstances, 4096); err != nil {
		t.Fatal(err)
	}
	if err := lab.restoreMachine(); err != nil {
		t.Fatal(err)
	}
	wantLimits(t, shown, "4096", "1024", "512")
}

func TestALimitThatAnOlderLabRaisedIsSetBack(t *testing.T) {
	shown := limitsOf(t)
	lab := labWithHosts(t, 20)
	if err := writeLimit(inotifyInstances, 2048); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lab.machinePath(), []byte(`{"version": 1, "before": 128, "raised": 2048, "absent": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := lab.restoreMachine(); err != nil {
		t.Fatal(err)
	}
	wantLimits(t, shown, "128", "1024", "512")
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
