package host

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
)

const (
	bridge   = "lab0"
	uplink   = "uplink"
	hostLink = "host0"

	// 198.18.0.0/15 is set aside for tests of networks, so it is nobody's real network.
	subnetCount = 512
	// The first addresses of a subnet are kept for what is not a node: .1 is this machine.
	firstIndex = 10
	lastIndex  = 254
)

// realm marks the names of all that a lab makes in places that it shares with other labs: one with another
// state doesn't know of this one's deployments, and may have one of the same name.
func (l *Lab) realm() string {
	if l.state == DefaultState {
		return ""
	}
	sum := sha256.Sum256([]byte(l.state))
	return "-" + hex.EncodeToString(sum[:3])
}

// namespace is the network namespace that holds a deployment's bridge.
func (l *Lab) namespace(deployment string) string { return "refarch" + l.realm() + "." + deployment }

// hostNamespace is the network namespace that a host lives in. A dot is in no name, so these never collide.
func (l *Lab) hostNamespace(deployment, node string) string {
	return l.namespace(deployment) + "." + node
}

// portOf is the bridge's end of a host's cable.
func portOf(index int) string { return fmt.Sprintf("h%d", index) }

// linkName proposes the name of a deployment's link in this machine's own namespace, where names have at
// most 15 characters and are shared with everything else on the machine.
func (l *Lab) linkName(deployment string, attempt int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", l.namespace(deployment), attempt))
	return "rl" + hex.EncodeToString(sum[:4])
}

// macOf gives a node the same hardware address whenever it is made again.
func macOf(deployment, node string) string {
	sum := sha256.Sum256([]byte(deployment + "/" + node))
	// The second lowest bit of the first byte marks an address as locally administered.
	return net.HardwareAddr(append([]byte{0x02}, sum[:5]...)).String()
}

func subnetPrefix(subnet int) string { return fmt.Sprintf("198.%d.%d", 18+subnet/256, subnet%256) }
func subnetCIDR(subnet int) string   { return subnetPrefix(subnet) + ".0/24" }
func gatewayOf(subnet int) string    { return subnetPrefix(subnet) + ".1" }

func addressOf(subnet, index int) string { return fmt.Sprintf("%s.%d", subnetPrefix(subnet), index) }

// firstSubnet is where the search for a free subnet begins. Labs with different states don't see each other's
// records, so they begin at different places.
func (l *Lab) firstSubnet() int {
	if l.state == DefaultState {
		return 1
	}
	sum := sha256.Sum256([]byte(l.state))
	return int(sum[0])<<1 | int(sum[1])&1
}

// freeSubnet picks the next subnet that no deployment holds and that overlaps nothing on this machine.
func freeSubnet(first int, held map[int]bool, inUse []*net.IPNet) (int, error) {
	for offset := range subnetCount {
		subnet := (first + offset) % subnetCount
		_, candidate, err := net.ParseCIDR(subnetCIDR(subnet))
		if err != nil {
			return 0, err
		}
		if !held[subnet] && !overlaps(candidate, inUse) {
			return subnet, nil
		}
	}
	return 0, &Problem{
		Summary: "no network is free",
		Detail:  "every /24 of 198.18.0.0/15 is held by a deployment or used on this machine. Remove deployments with `refarch-lab sweep NAME`.",
	}
}

func overlaps(candidate *net.IPNet, inUse []*net.IPNet) bool {
	for _, other := range inUse {
		if other.Contains(candidate.IP) || candidate.Contains(other.IP) {
			return true
		}
	}
	return false
}

// allocate gives a node the lowest free address of its deployment. A node that had one keeps it, also while
// it doesn't exist: its identity in Consul, Patroni and Praefect hangs on it.
func (r *record) allocate(node string) (int, error) {
	if index, ok := r.Addresses[node]; ok {
		return index, nil
	}
	taken := map[int]bool{}
	for _, index := range r.Addresses {
		taken[index] = true
	}
	for index := firstIndex; index <= lastIndex; index++ {
		if !taken[index] {
			r.Addresses[node] = index
			return index, nil
		}
	}
	return 0, &Problem{
		Summary: "no address is free",
		Detail:  fmt.Sprintf("a lab deployment has room for %d node names. Destroy it and make it anew.", lastIndex-firstIndex+1),
	}
}

// newSerial tells one making of a disk or host from the next of the same name.
func newSerial() string {
	raw := make([]byte, 4)
	// It never fails: since Go 1.24 the program ends where the kernel has no randomness.
	_, _ = rand.Read(raw)
	return hex.EncodeToString(raw)
}

// ID names one making of a thing: deployment, name, serial.
func makeID(deployment, name, serial string) string {
	return strings.Join([]string{deployment, name, serial}, "/")
}

// splitID is the inverse of makeID.
func splitID(id string) (deployment, name, serial string, err error) {
	parts := strings.Split(id, "/")
	if len(parts) != 3 {
		return "", "", "", fmt.Errorf("`%s` is no id of a lab disk or host (DEPLOYMENT/NAME/SERIAL)", id)
	}
	return parts[0], parts[1], parts[2], nil
}
