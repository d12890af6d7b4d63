package main

import (
	"os"
	"path/filepath"
	"testing"

	"refarch.invalid/refarch/lab/provider/host"
)

func TestMisuseIsTwo(t *testing.T) {
	for _, arguments := range [][]string{
		{"nonsense"}, {"inspect"}, {"inspect", "a", "b"}, {"sweep", "a", "--nonsense"}, {"destroy", "a"},
		{"create", "a", "a-1", "--disk", "data"},
	} {
		if code := runCommand(arguments); code != exitUsage {
			t.Errorf("%v ends with %d", arguments, code)
		}
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	for _, arguments := range [][]string{{"--help"}, {"-h"}, {"help"}, {"sweep", "--help"}} {
		if code := runCommand(arguments); code != exitOK {
			t.Errorf("%v ends with %d", arguments, code)
		}
	}
}

func TestWhatDoesNotExistIsInspectedAndSweptInPeace(t *testing.T) {
	if err := host.CheckMachine(); err != nil {
		if code := runCommand([]string{"inspect", "acme"}); code != exitEnvironment {
			t.Errorf("where no lab can be, inspect ends with %d", code)
		}
		return
	}
	state := filepath.Join(t.TempDir(), "state")
	t.Setenv(host.StateVariable, state)
	for _, command := range []string{"inspect", "sweep"} {
		if code := runCommand([]string{command, "acme-that-is-not-there"}); code != exitOK {
			t.Errorf("%s ends with %d", command, code)
		}
	}
	if _, err := os.Stat(state); err == nil {
		t.Errorf("%s was made by looking for nothing", state)
	}
}
