package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const commandDeadline = 30 * time.Second

// command runs a system program and returns what it printed. Its own words are the error's.
func command(ctx context.Context, name string, arguments ...string) ([]byte, error) {
	return commandWith(ctx, nil, name, arguments...)
}

// commandWith is command for a program that reads its standard input.
func commandWith(ctx context.Context, input io.Reader, name string, arguments ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandDeadline)
	defer cancel()
	process := exec.CommandContext(ctx, name, arguments...)
	var stdout, stderr bytes.Buffer
	process.Stdin = input
	process.Stdout, process.Stderr = &stdout, &stderr
	if err := process.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			said = err.Error()
		}
		return nil, fmt.Errorf("`%s %s` failed: %s", name, strings.Join(arguments, " "), said)
	}
	return stdout.Bytes(), nil
}
