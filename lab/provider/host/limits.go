package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// limit is one of the kernel's limits that all hosts share, and how much of it they want.
type limit struct {
	// path is below limitsFolder.
	path string
	// wanted is what a number of hosts needs.
	wanted func(hosts int) int
	// raised is what it is set to at least, so that it isn't raised with every host.
	raised int
}

const inotifyInstances = "fs/inotify/max_user_instances"

// limits are raised when more hosts are made than they are enough for, and set back when the last deployment goes.
var limits = []limit{
	// The systemd in every host takes some inotify instances out of one limit that all of root's processes share. Its
	// default of 128 is enough for 19 hosts.
	{inotifyInstances, func(hosts int) int { return 7 * hosts }, 2048},
	// The table of neighbours is one for all network namespaces, and every host talks to almost every other. The default
	// of 1024 is full with 33 hosts: the hosts then can't reach each other by turns, and the kernel says "neighbor table
	// overflow". Source: https://docs.kernel.org/networking/ip-sysctl.html "neigh/default/gc_thresh3" (read 2026-11).
	{"net/ipv4/neigh/default/gc_thresh3", func(hosts int) int { return 2 * hosts * hosts }, 16384},
	// Above this one, an entry that was not asked for in five seconds is thrown away.
	{"net/ipv4/neigh/default/gc_thresh2", func(hosts int) int { return 2 * hosts * hosts }, 16384},
}

// limitsFolder is a variable for the tests, which must not change the machine.
var limitsFolder = "/proc/sys"

// raisedLimit is what a limit was and what it was raised to.
type raisedLimit struct {
	Before int `json:"before"`
	Raised int `json:"raised"`
}

// raiseTo is what a limit has to become for a number of hosts; 0 when it will do as it is.
func (l limit) raiseTo(hosts, found int) int {
	wanted := l.wanted(hosts)
	if wanted <= found {
		return 0
	}
	return max(l.raised, wanted)
}

// raiseLimits makes room for the hosts that are recorded. The caller holds the records' lock.
func (l *Lab) raiseLimits() error {
	recorded, err := l.countHosts()
	if err != nil {
		return err
	}
	// The limits are shared with the hosts of labs that have another state.
	hosts := max(recorded, countHostNamespaces())
	for _, one := range limits {
		if err := l.raiseLimit(one, hosts); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) raiseLimit(one limit, hosts int) error {
	found, err := readLimit(one.path)
	if err != nil {
		return err
	}
	raised := one.raiseTo(hosts, found)
	if raised == 0 {
		return nil
	}
	noted, _, err := l.loadMachine()
	if err != nil {
		return err
	}
	before := found
	if already, ok := noted.Limits[one.path]; ok {
		before = already.Before
	}
	noted.Limits[one.path] = raisedLimit{Before: before, Raised: raised}
	if err := writeJSON(l.machinePath(), noted); err != nil {
		return err
	}
	return writeLimit(one.path, raised)
}

// restoreLimits sets back what was raised, unless someone else has changed it since.
func restoreLimits(raised map[string]raisedLimit) error {
	for path, one := range raised {
		found, err := readLimit(path)
		if err != nil {
			return err
		}
		if found != one.Raised {
			continue
		}
		if err := writeLimit(path, one.Before); err != nil {
			return err
		}
	}
	return nil
}

func readLimit(path string) (int, error) {
	content, err := os.ReadFile(filepath.Join(limitsFolder, path))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}

func writeLimit(path string, value int) error {
	return os.WriteFile(filepath.Join(limitsFolder, path), []byte(strconv.Itoa(value)), 0o644)
}
