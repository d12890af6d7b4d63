package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func labIn(t *testing.T) *Lab {
	t.Helper()
	t.Setenv(StateVariable, filepath.Join(t.TempDir(), "state"))
	return Open()
}

func deployment(t *testing.T, lab *Lab, name, suffix string) *Deployment {
	t.Helper()
	made, err := lab.Deployment(name, Owner{Suffix: suffix, WorkDirectory: "/srv/" + suffix})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func addDisk(name string) func(*record) error {
	return func(r *record) error {
		r.Disks[name] = diskRecord{Serial: newSerial(), SizeGB: 1}
		return nil
	}
}

func TestARecordSurvivesAndIsPrivate(t *testing.T) {
	lab := labIn(t)
	acme := deployment(t, lab, "acme", "aaaaaa")
	if err := acme.change(context.Background(), addDisk("acme-1-data")); err != nil {
		t.Fatal(err)
	}
	read, err := acme.view()
	if err != nil || read.Disks["acme-1-data"].SizeGB != 1 {
		t.Errorf("it reads %+v, %v", read, err)
	}
	for path, mode := range map[string]os.FileMode{
		lab.recordPath("acme"): 0o600, lab.ownerPath("acme"): 0o600, lab.folder("acme"): 0o700, lab.state: 0o700,
	} {
		status, err := os.Stat(path)
		if err != nil || status.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v", path, status.Mode(), err)
		}
	}
	if exists(lab.recordPath("acme") + ".new") {
		t.Error("the half-written file stays")
	}
}

func TestAnotherOwnerChangesNothing(t *testing.T) {
	lab := labIn(t)
	if err := deployment(t, lab, "acme", "aaaaaa").change(context.Background(), addDisk("acme-1-data")); err != nil {
		t.Fatal(err)
	}
	other := deployment(t, lab, "acme", "bbbbbb")
	err := other.change(context.Background(), addDisk("acme-2-data"))
	var owned *OwnedError
	if !errors.As(err, &owned) || owned.Owner.Suffix != "aaaaaa" {
		t.Fatalf("it says %v", err)
	}
	if said := err.Error(); !strings.HasPrefix(said, OwnedSummary) || !strings.Contains(said, "/srv/aaaaaa") || !strings.Contains(said, "refarch-lab sweep acme") {
		t.Errorf("it says %q", said)
	}
	if _, err := other.view(); !IsOwned(err) {
		t.Errorf("it may read: %v", err)
	}
	if _, err := lab.Sweep(context.Background(), "acme", "bbbbbb"); !IsOwned(err) {
		t.Errorf("it may sweep: %v", err)
	}
}

func TestABrokenRecordIsNamedWithTheWayOut(t *testing.T) {
	lab := labIn(t)
	acme := deployment(t, lab, "acme", "aaaaaa")
	if err := acme.change(context.Background(), addDisk("acme-1-data")); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"{", `{"version": 99}`} {
		if err := os.WriteFile(lab.recordPath("acme"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := acme.view(); err == nil || !strings.Contains(err.Error(), "refarch-lab sweep acme") {
			t.Errorf("for %q it says %v", content, err)
		}
	}
}

func TestChangesFromManySidesAreAllKept(t *testing.T) {
	lab := labIn(t)
	acme := deployment(t, lab, "acme", "aaaaaa")
	var waiting sync.WaitGroup
	names := []string{"a-1", "b-1", "c-1", "d-1", "e-1", "f-1", "g-1", "h-1"}
	for _, name := range names {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			if err := acme.change(context.Background(), addDisk(name)); err != nil {
				t.Error(err)
			}
		}()
	}
	waiting.Wait()
	read, err := acme.view()
	if err != nil || len(read.Disks) != len(names) {
		t.Errorf("%d of %d changes are there, %v", len(read.Disks), len(names), err)
	}
}

func TestTheLastDeploymentTakesTheStateWithIt(t *testing.T) {
	lab := labIn(t)
	for _, name := range []string{"acme", "beta"} {
		one := deployment(t, lab, name, "aaaaaa")
		if err := one.change(context.Background(), addDisk("x-1-data")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"acme", "beta"} {
		if !exists(lab.state) {
			t.Fatalf("the state was gone before %s", name)
		}
		one := deployment(t, lab, name, "aaaaaa")
		err := one.change(context.Background(), func(r *record) error {
			delete(r.Disks, "x-1-data")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := lab.forgetIfEmpty(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	}
	if exists(lab.state) {
		t.Errorf("%s stays", lab.state)
	}
}

func TestALockIsTakenAgainWhenItsFileWasSweptAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks", "one")
	release, err := lock(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan error)
	go func() {
		second, err := lock(context.Background(), path)
		if err == nil {
			second()
		}
		taken <- err
	}()
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	if !exists(path) {
		t.Error("the second holds a lock that nobody else can see")
	}
}

func TestAHeldLockIsRefusedAtTheDeadline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one")
	release, err := lock(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("it says %v", err)
	}
}
