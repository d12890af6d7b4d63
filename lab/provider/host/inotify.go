package host

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The systemd in every host takes some inotify instances out of one limit that all of root's processes share.
// Its default of 128 is enough for 19 hosts; the lab raises it when more are made, and sets it back when its
// last deployment goes.
const (
	inotifyLimit     = "/proc/sys/fs/inotify/max_user_instances"
	instancesPerHost = 7
	raisedInstances  = 2048
)

type inotifyRecord struct {
	Version int `json:"version"`
	Before  int `json:"before"`
	Raised  int `json:"raised"`
}

func (l *Lab) inotifyPath() string { return filepath.Join(l.state, "inotify.json") }

// instancesWanted is the limit that a number of hosts needs; 0 when the one that is set will do.
func instancesWanted(hosts, limit int) int {
	if hosts*instancesPerHost <= limit {
		return 0
	}
	return max(raisedInstances, hosts*instancesPerHost)
}

// raiseInotify makes room for the hosts that are recorded. The caller holds the records' lock.
func (l *Lab) raiseInotify() error {
	hosts, err := l.countHosts()
	if err != nil {
		return err
	}
	limit, err := readLimit()
	if err != nil {
		return err
	}
	wanted := instancesWanted(hosts, limit)
	if wanted == 0 {
		return nil
	}
	noted := inotifyRecord{Version: recordVersion, Before: limit}
	if _, err := readJSON(l.inotifyPath(), &noted); err != nil {
		return err
	}
	noted.Raised = wanted
	if err := writeJSON(l.inotifyPath(), noted); err != nil {
		return err
	}
	return os.WriteFile(inotifyLimit, []byte(strconv.Itoa(wanted)), 0o644)
}

// restoreInotify sets the limit back, unless someone else has changed it since.
func (l *Lab) restoreInotify() error {
	var noted inotifyRecord
	found, err := readJSON(l.inotifyPath(), &noted)
	if err != nil || !found {
		return err
	}
	limit, err := readLimit()
	if err != nil {
		return err
	}
	if limit == noted.Raised {
		if err := os.WriteFile(inotifyLimit, []byte(strconv.Itoa(noted.Before)), 0o644); err != nil {
			return err
		}
	}
	if err := os.Remove(l.inotifyPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (l *Lab) countHosts() (int, error) {
	names, err := l.deployments()
	if err != nil {
		return 0, err
	}
	hosts := 0
	for _, name := range names {
		if loaded, err := l.load(name); err == nil {
			hosts += len(loaded.Hosts)
		}
	}
	return hosts, nil
}

func readLimit() (int, error) {
	content, err := os.ReadFile(inotifyLimit)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}
