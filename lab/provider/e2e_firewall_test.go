//go:build e2e

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"refarch.invalid/refarch/lab/provider/host"
)

// Hosts may reach each other at 8300, and users may reach them at 8080.
const someFlows = `-var=flows=[
{from="all",to="all_in_one",port=8300,protocol="tcp",why="one"},
{from="users",to="all",port=8080,protocol="tcp",why="two"}]`

// listeners greet at these ports of a host until the host ends, and say again what is said to them.
const listeners = `systemd-run --quiet --unit=listeners python3 -c '
import socket, threading
def talk(heard):
    heard.sendall(b"here")
    while said := heard.recv(9):
        heard.sendall(said)
def serve(port):
    listening = socket.create_server(("0.0.0.0", port))
    while True:
        threading.Thread(target=talk, args=(listening.accept()[0],)).start()
for port in (8080, 8300):
    threading.Thread(target=serve, args=(port,)).start()
' && until ss -Hltn | grep -q :8300; do sleep 0.1; done`

func TestThirtyHostsLetInWhatTheFlowsSayAndNothingElse(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	w.apply("-var=hosts=30", someFlows)
	t.Logf("apply of 30 hosts: %s", time.Since(began).Round(time.Millisecond))
	w.ssh(listeners)
	w.wantReach(true, true)

	// A host that died stands behind its rules again before its sshd answers, and keeps its address.
	first := w.inspect().Hosts[0]
	must(t, syscall.Kill(first.Process, syscall.SIGKILL))
	w.waitUntil("the host is dead", func() bool { return !w.inspect().Hosts[0].Running })
	w.apply("-var=hosts=30", someFlows)
	if again := w.inspect().Hosts[0]; again.Address != first.Address || !again.Firewall.Closed || len(again.Firewall.Rules) != 3 {
		t.Errorf("made again, it is %+v", again)
	}
	w.ssh(listeners)
	w.wantReach(true, true)

	// Closing a port is closing it for connections that stand.
	standing, err := net.DialTimeout("tcp", first.Address+":8080", 5*time.Second)
	must(t, err)
	defer standing.Close()
	_, err = io.ReadFull(standing, make([]byte, 4))
	must(t, err)
	if !answers4(standing) {
		t.Error("the connection does not answer while its port is open")
	}
	w.apply("-var=hosts=30", `-var=flows=[{from="all",to="all_in_one",port=8300,protocol="tcp",why="one"}]`)
	w.wantReach(true, false)
	if answers4(standing) {
		t.Error("the connection answers although its port was closed")
	}

	began = time.Now()
	w.terraform(0, "destroy", "-no-color", "-auto-approve", "-var=hosts=30")
	t.Logf("destroy of 30 hosts: %s", time.Since(began).Round(time.Millisecond))
	w.wantNothingLeft()
}

// answers4 says something into a connection and waits a moment for four characters.
func answers4(standing net.Conn) bool {
	_ = standing.SetDeadline(time.Now().Add(700 * time.Millisecond))
	_, _ = standing.Write([]byte("more"))
	_, err := io.ReadFull(standing, make([]byte, 4))
	return err == nil
}

// wantReach asks the first host's ports, from the second host and from this machine.
func (w *world) wantReach(hosts, users bool) {
	w.t.Helper()
	address := w.inspect().Hosts[0].Address
	neighbour := w.namespace() + "." + w.inspect().Hosts[1].Name
	for _, one := range []struct {
		port       int
		from, user bool
	}{{8300, hosts, false}, {8080, false, users}, {9999, false, false}} {
		if got := w.reaches(neighbour, address, one.port); got != one.from {
			w.t.Errorf("port %d from another host: open is %t", one.port, got)
		}
		if got := w.reaches("", address, one.port); got != one.user {
			w.t.Errorf("port %d from this machine: open is %t", one.port, got)
		}
	}
}

// reaches says whether a port answers at all; one that is shut keeps silent, and one that is open greets.
func (w *world) reaches(namespace, address string, port int) bool {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
	defer cancel()
	arguments := []string{"bash", "-c", fmt.Sprintf("read -rn4 said < /dev/tcp/%s/%d && echo $said", address, port)}
	if namespace != "" {
		arguments = append([]string{"ip", "netns", "exec", namespace}, arguments...)
	}
	output, _ := exec.CommandContext(ctx, arguments[0], arguments[1:]...).CombinedOutput()
	if text := string(output); strings.Contains(text, "refused") {
		w.t.Errorf("port %d answers that nobody listens, which a shut port does not", port)
	}
	return strings.Contains(string(output), "here")
}

func TestRulesThatSomeoneChangedAreMended(t *testing.T) {
	w := newWorld(t)
	w.apply(someFlows)
	if planned := w.planned(someFlows); len(planned) > 0 {
		t.Fatalf("after the apply, the plan is %v", planned)
	}
	for what, change := range map[string]string{
		"flushed":      "flush ruleset",
		"a policy":     "chain inet refarch input { policy accept; }",
		"a rule added": "insert rule inet refarch input accept",
		"one fewer":    "delete element inet refarch tcp_in { " + w.inspect().Hosts[0].Address + " . 8300 }",
	} {
		w.run("nsenter", "--net=/run/netns/"+w.namespace()+"."+w.node(), "--root="+filepath.Join(w.cache, "lab", "image", "rootfs"), "/usr/sbin/nft", change)
		planned := w.planned(someFlows)
		if strings.Join(planned, ", ") != "update lab_firewall" {
			t.Errorf("%s: the plan is %v", what, planned)
		}
		w.apply(someFlows)
		if found := w.inspect().Hosts[0].Firewall; !found.Closed || len(found.Rules) != 3 {
			t.Errorf("%s, then mended: %+v", what, found)
		}
	}
	must(t, func() error { _, err := host.Open().Sweep(context.Background(), w.name, ""); return err }())
	w.apply(someFlows)
	if found := w.inspect().Hosts[0].Firewall; !found.Closed || len(found.Rules) != 3 {
		t.Errorf("swept, then made again: %+v", found)
	}
	w.destroy()
}
