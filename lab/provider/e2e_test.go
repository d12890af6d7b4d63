//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"refarch.invalid/refarch/lab/provider/host"
)

func TestTerraformBootsAHostThatAnsibleReaches(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	w.apply()
	t.Logf("apply of one host: %s", time.Since(began).Round(time.Millisecond))
	w.wantPlanned()

	w.write("inventory", w.node()+" ansible_host="+w.inspect().Hosts[0].Address+" ansible_port=2222 ansible_user=root "+
		"ansible_python_interpreter=/usr/bin/python3 ansible_ssh_private_key_file="+filepath.Join(w.folder, "id")+
		" ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'\n")
	ping := exec.Command(w.ansible(), "-i", filepath.Join(w.folder, "inventory"), "all", "-m", "ping")
	ping.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "ANSIBLE_HOME="+filepath.Join(w.folder, "ansible"), "ANSIBLE_LOCAL_TEMP="+filepath.Join(w.folder, "ansible"))
	if output, err := ping.CombinedOutput(); err != nil || !strings.Contains(string(output), "pong") {
		t.Fatalf("ansible -m ping: %v\n%s", err, output)
	}

	if routes := w.ssh("ip route show default; ip -6 route show default"); routes != "" {
		t.Errorf("the host has a way out: %s", routes)
	}
	if running := w.ssh("ps -eo comm= | grep -E 'nginx|postgres|valkey|runsv' || true"); running != "" {
		t.Errorf("something started by itself: %s", running)
	}
	if mode := w.ssh("stat -c %a / && passwd --status root | cut -d' ' -f2 && hostname"); mode != "755\nL\n"+w.node() {
		t.Errorf("mode of /, root's password and host name are %q", mode)
	}
	w.checkContract()
	began = time.Now()
	w.destroy()
	t.Logf("destroy: %s", time.Since(began).Round(time.Millisecond))
}

func (w *world) ansible() string {
	w.t.Helper()
	for _, candidate := range []string{os.Getenv("REFARCH_TEST_ANSIBLE"), filepath.Join(w.cache, "tools", "ansible", "bin", "ansible"), "ansible"} {
		if path, err := exec.LookPath(candidate); candidate != "" && err == nil {
			return path
		}
	}
	w.t.Fatal("no ansible: run `refarch tools install`, or name one with REFARCH_TEST_ANSIBLE")
	return ""
}

// checkContract holds what terraform gave out against the contract of all modules.
func (w *world) checkContract() {
	w.t.Helper()
	outputs := filepath.Join(w.folder, "outputs.json")
	must(w.t, os.WriteFile(outputs, []byte(w.terraform(0, "output", "-json")), 0o600))
	output, err := exec.Command("../../modules/check-contract", "../../modules/lab", "--outputs", outputs).CombinedOutput()
	if err != nil {
		w.t.Errorf("check-contract: %v\n%s", err, output)
	}
}

func TestAKilledHostIsMadeAgainWithItsData(t *testing.T) {
	w := newWorld(t)
	w.apply()
	before := w.inspect().Hosts[0]
	disk := w.inspect().Disks[0].Path
	w.ssh("mkfs.ext4 -q " + disk + " && mount " + disk + " /mnt && echo precious > /mnt/data && sync")
	mac := w.ssh("ip -o link show host0 | grep -o 'link/ether [^ ]*'")

	must(t, syscall.Kill(before.Process, syscall.SIGKILL))
	w.waitUntil("the host is dead", func() bool { return !w.inspect().Hosts[0].Running })
	w.wantPlanned("create lab_host", "update lab_firewall")
	w.apply()

	if got := w.ssh("mount " + disk + " /mnt && cat /mnt/data && umount /mnt"); got != "precious" {
		t.Errorf("the data disk holds %q", got)
	}
	after := w.inspect().Hosts[0]
	if after.Address != before.Address || w.ssh("ip -o link show host0 | grep -o 'link/ether [^ ]*'") != mac {
		t.Errorf("the host moved from %s to %s", before.Address, after.Address)
	}
	w.wantPlanned()
	w.destroy()
}

func (w *world) waitUntil(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestABrokenNetworkIsRepairedUnderItsHosts(t *testing.T) {
	w := newWorld(t)
	w.apply()
	birth := w.birth()
	newer, err := filepath.EvalSymlinks(filepath.Join(w.cache, "lab", "image"))
	must(t, err)
	link := w.inspect().Network.Link
	for _, broken := range []struct {
		what    string
		command []string
		plan    []string
	}{
		{"bridge", []string{"ip", "-n", w.namespace(), "link", "delete", "lab0"}, []string{"create lab_network"}},
		{"link to this machine", []string{"ip", "link", "delete", link}, []string{"create lab_network"}},
		{"namespace", []string{"ip", "netns", "delete", w.namespace()}, []string{"create lab_network"}},
		{"host's cable", []string{"ip", "-n", w.namespace(), "link", "delete", "h10"}, []string{"create lab_host", "update lab_firewall"}},
	} {
		w.run(broken.command[0], broken.command[1:]...)
		w.waitUntil("the "+broken.what+" is seen as broken", func() bool { return len(w.planned()) > 0 })
		w.wantPlanned(broken.plan...)
		// There is a newer image by now, which is no reason to make a running host anew.
		w.apply("-var=image=" + newer)
		if got := w.birth(); got != birth {
			t.Errorf("the host was made anew because its %s was gone", broken.what)
		}
		w.wantPlanned()
	}
	w.destroy()
}

func (w *world) namespace() string {
	w.t.Helper()
	return w.inspect().Network.Namespace
}

func TestALostDiskIsSeenAndItsHostReplaced(t *testing.T) {
	w := newWorld(t)
	w.apply()
	must(t, os.Remove(filepath.Join(w.state, w.name, "disks", w.node()+"-data.img")))
	w.wantPlanned("create lab_disk", "replace lab_host", "update lab_firewall")
	w.apply()
	w.ssh("test -b " + w.inspect().Disks[0].Path)
	w.wantPlanned()
	w.destroy()
}

func TestADiskGrowsInPlaceAndNeverShrinks(t *testing.T) {
	w := newWorld(t)
	w.apply()
	birth := w.birth()
	w.apply("-var=disk_gb=2")
	if size := w.ssh("blockdev --getsize64 " + w.inspect().Disks[0].Path); size != "2147483648" {
		t.Errorf("the host sees a disk of %s bytes", size)
	}
	if w.birth() != birth {
		t.Error("the host was made anew because its disk grew")
	}
	if output := w.terraform(1, "plan", "-no-color", "-var=disk_gb=1"); !strings.Contains(output, "a disk can't shrink") {
		t.Errorf("the plan does not refuse to shrink:\n%s", output)
	}
	w.apply("-var=disk_gb=2")
	w.terraform(0, "destroy", "-no-color", "-auto-approve", "-var=disk_gb=2")
	w.wantNothingLeft()
}

func TestTheNextApplyTakesOverWhatAKilledTerraformMade(t *testing.T) {
	w := newWorld(t)
	apply := w.terraformProcess("apply", "-no-color", "-auto-approve", "-var=hosts=4")
	must(t, apply.Start())
	w.waitUntil("a host runs", func() bool {
		for _, one := range w.inspect().Hosts {
			if one.Running {
				return true
			}
		}
		return false
	})
	must(t, apply.Process.Kill())
	_ = apply.Wait()
	// The provider ends by itself, after it has made what it was making.
	w.waitUntil("the provider has ended", func() bool { return len(w.processesHere()) == 0 })
	made := map[string]int{}
	recorded, _ := w.tryTerraform("state", "list")
	for _, one := range w.inspect().Hosts {
		if one.Running && !strings.Contains(recorded, one.Name+`"]`) {
			made[one.Name] = one.Process
		}
	}
	if len(made) == 0 {
		t.Fatal("the kill came too late: terraform had recorded every host that runs")
	}
	w.apply("-var=hosts=4")
	for _, one := range w.inspect().Hosts {
		if !one.Running {
			t.Errorf("%s does not run", one.Name)
		}
		if process, ok := made[one.Name]; ok && process != one.Process {
			t.Errorf("%s was made anew instead of being taken over", one.Name)
		}
	}
	w.ssh("true")
	w.destroy()
}

func TestAnInterruptLosesNothing(t *testing.T) {
	for whom, interrupt := range map[string]func(process int) error{
		"terraform":            func(process int) error { return syscall.Kill(process, syscall.SIGINT) },
		"the whole foreground": func(process int) error { return syscall.Kill(-process, syscall.SIGINT) },
	} {
		t.Run(whom, func(t *testing.T) {
			w := newWorld(t)
			apply := w.terraformProcess("apply", "-no-color", "-auto-approve", "-var=hosts=4")
			apply.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			must(t, apply.Start())
			w.waitUntil("a host is being made", func() bool { return len(w.inspect().Hosts) > 0 })
			must(t, interrupt(apply.Process.Pid))
			if err := apply.Wait(); err == nil {
				t.Log("everything was made before the interrupt arrived")
			}
			w.wantAllRecorded()
			w.apply("-var=hosts=4")
			w.destroy()
		})
	}
}

// wantAllRecorded wants every host that exists in terraform's state, and whole.
func (w *world) wantAllRecorded() {
	w.t.Helper()
	recorded := w.terraform(0, "state", "list")
	for _, one := range w.inspect().Hosts {
		if !strings.Contains(recorded, `lab_host.node["`+one.Name+`"]`) {
			w.t.Errorf("%s exists, and terraform's state does not know it:\n%s", one.Name, recorded)
		}
	}
	for _, change := range w.planned("-var=hosts=4") {
		if strings.HasPrefix(change, "replace") {
			w.t.Errorf("the interrupted apply left something to be replaced: %s", change)
		}
	}
}

func TestANameThatAnotherOwnerHoldsIsRefused(t *testing.T) {
	w := newWorld(t)
	w.apply()
	output := w.terraform(1, "plan", "-no-color", "-var=suffix=0ther1")
	if !strings.Contains(output, host.OwnedSummary) || !strings.Contains(output, "refarch-lab sweep "+w.name) {
		t.Errorf("the refusal does not say what to do:\n%s", output)
	}
	command := exec.Command(filepath.Join(w.cache, "lab", "bin", "refarch-lab"), "sweep", w.name, "--owner", "0ther1")
	if output, err := command.CombinedOutput(); command.ProcessState.ExitCode() != exitRefused {
		t.Errorf("sweep with another owner: %v\n%s", err, output)
	}
	w.ssh("true")
	w.destroy()
}

func TestASweepRemovesWhatIsHalfMade(t *testing.T) {
	w := newWorld(t)
	w.apply()
	// The record breaks, a namespace and a folder stand there that no record knows, and the disk's file is gone.
	w.run("ip", "netns", "add", w.namespace()+".stray-1")
	must(t, os.WriteFile(filepath.Join(w.state, w.name, "record.json"), []byte("{"), 0o600))
	must(t, os.MkdirAll(filepath.Join(w.state, w.name, "hosts", "stray-2", "upper"), 0o755))
	must(t, os.Remove(filepath.Join(w.state, w.name, "disks", w.node()+"-data.img")))

	var done host.Sweeping
	command := exec.Command(filepath.Join(w.cache, "lab", "bin", "refarch-lab"), "sweep", w.name, "--owner", owner)
	output, err := command.Output()
	must(t, err)
	must(t, json.Unmarshal(output, &done))
	if len(done.Left) > 0 || len(done.Removed) < 4 {
		t.Errorf("the sweep says %+v", done)
	}
	w.wantNothingLeft()
}

func TestAHostShutsDownCleanBeforeItIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.apply()
	disk := w.inspect().Disks[0].Path
	w.ssh("mkfs.ext4 -q " + disk + " && mount " + disk + " /mnt && echo precious > /mnt/data")
	w.terraform(0, "apply", "-no-color", "-auto-approve", `-replace=module.environment.lab_host.node["`+w.node()+`"]`)
	// `clean` without a journal to replay: the old host unmounted it.
	if state := w.ssh("dumpe2fs -h " + disk + " 2>/dev/null | grep -E 'needs_recovery|state:'"); strings.Contains(state, "needs_recovery") || !strings.Contains(state, "clean") {
		t.Errorf("the data disk was not unmounted clean: %s", state)
	}
	if got := w.ssh("mount " + disk + " /mnt && cat /mnt/data"); got != "precious" {
		t.Errorf("the data disk holds %q", got)
	}
	w.destroy()
}

func TestPeopleCanCreateAndDestroyOneHost(t *testing.T) {
	w := newWorld(t)
	program := filepath.Join(w.cache, "lab", "bin", "refarch-lab")
	disk := w.node() + "-data"
	w.run(program, "create", w.name, w.node(), "--image", filepath.Join(w.cache, "lab", "image"),
		"--key", filepath.Join(w.folder, "id.pub"), "--port", "2222", "--disk", disk+"=1")
	w.ssh("test -b /dev/refarch/" + disk)
	w.run(program, "destroy", w.name, w.node())
	if found := w.inspect(); len(found.Hosts) != 0 || len(found.Disks) != 1 || !found.Disks[0].Present {
		t.Errorf("after destroy there is %+v", found)
	}
	w.run(program, "sweep", w.name)
	w.wantNothingLeft()
}

func TestDestroyRemovesWhatIsLeftOfTheDead(t *testing.T) {
	for what, ruin := range map[string]func(*world){
		"host": func(*world) {},
		"host and its network": func(w *world) {
			w.run("ip", "netns", "delete", w.namespace())
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.apply()
			must(t, syscall.Kill(w.inspect().Hosts[0].Process, syscall.SIGKILL))
			w.waitUntil("the host is dead", func() bool { return !w.inspect().Hosts[0].Running })
			ruin(w)
			w.destroy()
		})
	}
}

func TestAHostThatDoesNotBootNamesItsLog(t *testing.T) {
	w := newWorld(t)
	image := filepath.Join(w.folder, "image")
	must(t, os.MkdirAll(filepath.Join(image, "rootfs", "usr", "lib", "systemd"), 0o755))
	must(t, os.WriteFile(filepath.Join(image, "rootfs", "usr", "lib", "systemd", "systemd"), nil, 0o644))
	output := w.terraform(1, "apply", "-no-color", "-auto-approve", "-var=image="+image)
	log := filepath.Join(w.state, w.name, "hosts", w.node(), "console.log")
	if !strings.Contains(output, "did not come up") || !strings.Contains(strings.Join(strings.Fields(output), ""), log) {
		t.Errorf("the error does not name the console's log %s:\n%s", log, output)
	}
	if status, err := os.Stat(log); err != nil || status.Size() == 0 || status.Mode().Perm() != 0o600 {
		t.Errorf("the console's log is %v, %v", status, err)
	}
	w.apply()
	w.ssh("true")
	w.destroy()
}

// TestTheMachineIsLeftAsItWasFound runs a host where nobody ever ran one: with a /run of its own, in which the
// folders of `ip` and systemd-nspawn are not there yet.
func TestTheMachineIsLeftAsItWasFound(t *testing.T) {
	w := newWorld(t)
	program := filepath.Join(w.cache, "lab", "bin", "refarch-lab")
	script := `set -e
mount -t tmpfs none /run
"$1" create "$2" "$2-1" --image "$3" --key "$4" > /dev/null
test -e /run/netns && test -e /run/systemd/nspawn
kill -9 "$("$1" inspect "$2" | sed -n 's/.*"process": \([0-9]*\).*/\1/p')"
"$1" sweep "$2" > /dev/null
find /run -mindepth 1 ! -path /run/systemd`
	left := w.run("unshare", "--mount", "sh", "-c", script, "sh", program, w.name,
		filepath.Join(w.cache, "lab", "image"), filepath.Join(w.folder, "id.pub"))
	if left != "" {
		t.Errorf("left in /run:\n%s", left)
	}
}
