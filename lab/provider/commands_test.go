package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refarch.invalid/refarch/lab/provider/host"
)

// listen collects what the commands say.
func listen(t *testing.T) (said, complained *bytes.Buffer) {
	t.Helper()
	said, complained = &bytes.Buffer{}, &bytes.Buffer{}
	answers, complaints = said, complained
	t.Cleanup(func() { answers, complaints = os.Stdout, os.Stderr })
	return said, complained
}

func TestMisuseIsTwo(t *testing.T) {
	said, complained := listen(t)
	for _, arguments := range [][]string{
		{"nonsense"}, {"inspect"}, {"inspect", "a", "b"}, {"sweep", "a", "--nonsense"}, {"destroy", "a"},
		{"create", "a", "a-1", "--disk", "data"},
	} {
		if code := runCommand(arguments); code != exitUsage {
			t.Errorf("%v ends with %d", arguments, code)
		}
		if said.Len() > 0 || !strings.Contains(complained.String(), "usage:") {
			t.Errorf("%v answers %q and complains %q", arguments, said, complained)
		}
		complained.Reset()
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	said, complained := listen(t)
	for _, arguments := range [][]string{
		{"--help"}, {"-h"}, {"help"}, {"sweep", "--help"},
	} {
		if code := runCommand(arguments); code != exitOK {
			t.Errorf("%v ends with %d", arguments, code)
		}
		if !strings.Contains(said.String(), "usage:") || complained.Len() > 0 {
			t.Errorf("%v answers %q and complains %q", arguments, said, complained)
		}
		said.Reset()
	}
}

func TestWhatDoesNotExistIsInspectedAndSweptInPeace(t *testing.T) {
	if err := host.CheckMachine(); err != nil {
		if code := runCommand([]string{"inspect", "acme"}); code != exitEnvironment {
			t.Errorf("where no lab can be, inspect ends with %d", code)
		}
		return
	}
	said, _ := listen(t)
	state := filepath.Join(t.TempDir(), "state")
	t.Setenv(host.StateVariable, state)
	for command, answer := range map[string]string{"inspect": `"exists": false`, "sweep": `"removed": []`} {
		if code := runCommand([]string{command, "acme-that-is-not-there"}); code != exitOK {
			t.Errorf("%s ends with %d", command, code)
		}
		if !strings.Contains(said.String(), answer) {
			t.Errorf("%s answers %s", command, said)
		}
	}
	if _, err := os.Stat(state); err == nil {
		t.Errorf("%s was made by looking for nothing", state)
	}
}
