package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// politeness is how long a host may take to shut down by itself, so that its databases close and its data
// disk is unmounted clean.
const politeness = 20 * time.Second

// nspawnFolder is where systemd-nspawn keeps locks and mount points of the machines that run.
const nspawnFolder = "/run/systemd/nspawn"

// boot makes a host's tree, plugs it in, starts it and waits for its sshd.
func (d *Deployment) boot(ctx context.Context, r *record, recorded hostRecord) error {
	name := recorded.Spec.Name
	if err := d.makeRoot(r, recorded); err != nil {
		return err
	}
	if err := ensureNamespace(ctx, d.lab.hostNamespace(d.Name, name)); err != nil {
		return err
	}
	if err := d.connect(ctx, r, name); err != nil {
		return err
	}
	if err := d.guard(ctx, r, name); err != nil {
		return err
	}
	disks, err := d.attachDisks(ctx, recorded.Spec)
	if err != nil {
		return err
	}
	if err := d.makeRoom(ctx); err != nil {
		return err
	}
	cgroups, err := d.lab.makeCgroups(d.Name, name)
	if err != nil {
		return err
	}
	ended, err := d.start(name, cgroups, disks)
	if err != nil {
		return err
	}
	return d.awaitSSH(ctx, d.host(r, name), patience, ended)
}

func (d *Deployment) makeRoom(ctx context.Context) error {
	release, err := d.lab.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer release()
	return d.lab.raiseLimits()
}

// makeRoot lays an empty layer over the image and writes into it what makes this host itself.
func (d *Deployment) makeRoot(r *record, recorded hostRecord) error {
	spec := recorded.Spec
	folder := d.lab.hostFolder(d.Name, spec.Name)
	root := d.lab.hostRoot(d.Name, spec.Name)
	upper, work := filepath.Join(folder, "upper"), filepath.Join(folder, "work")
	for _, one := range []string{upper, work, root} {
		if err := os.MkdirAll(one, 0o755); err != nil {
			return err
		}
		// The layer's mode becomes that of the host's own root folder, whatever this process's umask says.
		if err := os.Chmod(one, 0o755); err != nil {
			return err
		}
	}
	// The image's folder may be a name for the current one; the table of mounts shows which one it was.
	lower, err := filepath.EvalSymlinks(filepath.Join(spec.Image, "rootfs"))
	if err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", escapeLayer(lower), escapeLayer(upper), escapeLayer(work))
	if err := syscall.Mount("refarch-lab", root, "overlay", 0, options); err != nil {
		return &Problem{
			Summary: fmt.Sprintf("host `%s` gets no root", spec.Name),
			Detail: fmt.Sprintf("mounting an overlay in %s failed: %v. Its folder must lie on a file system that can hold an upper layer (ext4, xfs, tmpfs; not another overlay): name one with %s.",
				folder, err, StateVariable),
		}
	}
	if err := writeIdentity(root, spec, addressOf(r.Network.Subnet, r.Addresses[spec.Name])); err != nil {
		return err
	}
	return os.WriteFile(d.madeFrom(spec.Name, recorded.Serial), nil, 0o600)
}

// escapeLayer protects the characters that separate an overlay's options.
func escapeLayer(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(path)
}

func writeIdentity(root string, spec HostSpec, address string) error {
	files := []struct {
		path, content string
		mode          os.FileMode
	}{
		{"etc/hostname", spec.Name + "\n", 0o644},
		{"etc/hosts", fmt.Sprintf("127.0.0.1 localhost\n::1 localhost\n%s %s\n", address, spec.Name), 0o644},
		{"root/.ssh/authorized_keys", spec.SSHPublicKey + "\n", 0o600},
		{"etc/ssh/sshd_config.d/20-port.conf", fmt.Sprintf("Port %d\n", spec.SSHPort), 0o644},
	}
	for _, file := range files {
		path := filepath.Join(root, file.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(file.content), file.mode); err != nil {
			return err
		}
		if err := os.Chmod(path, file.mode); err != nil {
			return err
		}
	}
	return nil
}

// attachDisks gives each disk's file a block device and returns how it is bound into the host.
func (d *Deployment) attachDisks(ctx context.Context, spec HostSpec) ([]string, error) {
	var bindings []string
	for _, id := range spec.Disks {
		_, disk, _, err := splitID(id)
		if err != nil {
			return nil, err
		}
		device, err := attachLoop(ctx, d.lab.diskFile(d.Name, disk))
		if err != nil {
			return nil, err
		}
		bindings = append(bindings, "--bind="+device+":"+DiskPath(disk))
	}
	return bindings, nil
}

// start runs the host in a session of its own, with nothing inherited but its log: whoever waits for the end
// of this program's output must not wait for the host. It returns the question whether the host has ended.
func (d *Deployment) start(name string, cgroups, disks []string) (ended func() bool, err error) {
	console, err := os.OpenFile(d.lab.consoleLog(d.Name, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	enter := ""
	for _, folder := range cgroups {
		enter += "echo $$ > " + filepath.Join(folder, "cgroup.procs") + " && "
	}
	arguments := append([]string{"-c", enter + `exec systemd-nspawn "$@"`, "sh",
		"--quiet", "--boot", "--register=no", "--keep-unit", "--link-journal=no",
		"--resolv-conf=off", "--timezone=off",
		"--machine=" + name, "--hostname=" + name,
		"--directory=" + d.lab.hostRoot(d.Name, name),
		"--network-namespace-path=" + filepath.Join(namespaceFolder, d.lab.hostNamespace(d.Name, name)),
	}, disks...)
	process := exec.Command("/bin/sh", arguments...)
	process.Stdout, process.Stderr = console, console
	// In the work directory, where terraform started this, it would keep that folder's file system busy.
	process.Dir = "/"
	process.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TERM=dumb", "LC_ALL=C.UTF-8",
		// The host's systemd is one of control groups version 2, also where this machine's is not.
		"UNIFIED_CGROUP_HIERARCHY=1", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
	}
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return nil, err
	}
	var gone atomic.Bool
	go func() {
		// How it ended is in the console's log; waiting also keeps it from staying behind as a zombie.
		_ = process.Wait()
		gone.Store(true)
	}()
	return gone.Load, nil
}

// stopHost asks a host to shut down, then ends what is left of it.
func (l *Lab) stopHost(ctx context.Context, deployment, node string, polite time.Duration) error {
	folder, err := l.unifiedCgroup(deployment, node)
	if err != nil {
		return err
	}
	if leader := supervisor(folder); leader != 0 && polite > 0 {
		// systemd-nspawn hands this on to the host's systemd as the wish to halt.
		if err := syscall.Kill(leader, syscall.SIGTERM); err == nil {
			waitEmpty(folder, polite)
		}
	}
	if err := killCgroup(folder); err != nil {
		return err
	}
	if err := l.removeCgroups(deployment, node); err != nil {
		return err
	}
	forgetMachine(node, l.hostRoot(deployment, node))
	if err := unmount(l.hostRoot(deployment, node)); err != nil {
		return err
	}
	return removeNamespace(ctx, l.hostNamespace(deployment, node))
}

// forgetMachine removes what systemd-nspawn keeps in /run for a machine while it runs, and leaves there when
// it is killed. Nothing but these empty files is lost if this fails.
func forgetMachine(name, root string) {
	_ = os.Remove(filepath.Join(nspawnFolder, "propagate", name))
	var status syscall.Stat_t
	if err := syscall.Stat(root, &status); err == nil {
		_ = os.Remove(filepath.Join(nspawnFolder, "locks", fmt.Sprintf("inode-%d:%d", status.Dev, status.Ino)))
	}
}

// clearHost removes everything of a host but its disks, its address and its record.
func (l *Lab) clearHost(ctx context.Context, deployment, node string) error {
	if err := l.stopHost(ctx, deployment, node, 0); err != nil {
		return err
	}
	if err := l.freeDisks(ctx, deployment, node); err != nil {
		return err
	}
	return os.RemoveAll(l.hostFolder(deployment, node))
}

// freeDisks detaches the block devices of a host's disks.
func (l *Lab) freeDisks(ctx context.Context, deployment, node string) error {
	r, err := l.load(deployment)
	if err != nil {
		return err
	}
	for _, id := range r.Hosts[node].Spec.Disks {
		_, disk, _, err := splitID(id)
		if err != nil {
			return err
		}
		if err := detachLoops(ctx, l.diskFile(deployment, disk)); err != nil {
			return err
		}
	}
	return nil
}

// unmount takes away every mount at a path: a host that was killed in the middle of being made may have two.
func unmount(path string) error {
	for {
		err := syscall.Unmount(path, 0)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if errors.Is(err, syscall.EBUSY) {
			// Somebody looks into the host's tree; the mount goes when they leave.
			err = syscall.Unmount(path, syscall.MNT_DETACH)
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
}
