package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const lockPoll = 50 * time.Millisecond

// lock takes an exclusive lock on a file, making it and its folder. The lock dies with the process that
// holds it. A sweep may have removed the file between opening and locking it: then the lock guards nothing,
// and it is taken again on the new file.
func lock(ctx context.Context, path string) (release func(), err error) {
	for {
		file, err := lockOnce(ctx, path)
		if err != nil {
			return nil, err
		}
		if sameFile(file, path) {
			return func() { file.Close() }, nil
		}
		file.Close()
	}
}

func lockOnce(ctx context.Context, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		// The folder was swept away in this very moment.
		return lockOnce(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, &Problem{
				Summary: "another process works on the same thing",
				Detail:  fmt.Sprintf("it holds the lock %s (`fuser %s` names it). Wait for it to end and try again.", path, path),
			}
		case <-time.After(lockPoll):
		}
	}
}

func sameFile(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	current, err := os.Stat(path)
	return err == nil && os.SameFile(opened, current)
}

func (l *Lab) lockRecords(ctx context.Context) (func(), error) {
	return lock(ctx, filepath.Join(l.state, "lock"))
}

// lockThing serialises the long work on one network, disk or host, so that a provider which outlived its
// terraform and the one that came after it don't make the same thing at once.
func (l *Lab) lockThing(ctx context.Context, deployment, thing string) (func(), error) {
	return lock(ctx, filepath.Join(l.folder(deployment), "locks", thing))
}
