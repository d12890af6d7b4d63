package host

import (
	"fmt"
	"net"
	"testing"
)

func TestANodeKeepsItsAddress(t *testing.T) {
	r := &record{Addresses: map[string]int{}}
	for number := range 3 {
		if _, err := r.allocate(fmt.Sprintf("a-%d", number)); err != nil {
			t.Fatal(err)
		}
	}
	delete(r.Addresses, "a-1")
	again, _ := r.allocate("a-2")
	filled, _ := r.allocate("new")
	if again != firstIndex+2 || filled != firstIndex+1 {
		t.Errorf("the kept address is %d, the filled gap %d", again, filled)
	}
}

func TestAddressesRunOutWithASentence(t *testing.T) {
	r := &record{Addresses: map[string]int{}}
	for number := range lastIndex - firstIndex + 1 {
		if _, err := r.allocate(fmt.Sprintf("a-%d", number)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.allocate("one-more"); err == nil {
		t.Error("there is room for one more than the subnet has")
	}
}

func TestSubnetsAvoidWhatIsHeldOrRouted(t *testing.T) {
	routed := []*net.IPNet{parseDestination("198.18.2.0/23"), parseDestination("198.18.5.7")}
	got, err := freeSubnet(1, map[int]bool{1: true, 4: true}, routed)
	if err != nil || got != 6 {
		t.Errorf("it chose %d, %v", got, err)
	}
	if _, err := freeSubnet(1, nil, []*net.IPNet{parseDestination("198.18.0.0/15")}); err == nil {
		t.Error("it chose one where all are routed")
	}
	if got, err := freeSubnet(511, map[int]bool{511: true}, nil); err != nil || got != 0 {
		t.Errorf("behind the last it chose %d, %v", got, err)
	}
	for _, wide := range []string{"default", "0.0.0.0/1", "nonsense"} {
		if parseDestination(wide) != nil {
			t.Errorf("`%s` keeps the lab from every subnet", wide)
		}
	}
}

func TestSubnetsLieInTheTestNetwork(t *testing.T) {
	_, reserved, _ := net.ParseCIDR("198.18.0.0/15")
	for _, subnet := range []int{0, 1, 255, 256, 511} {
		_, network, err := net.ParseCIDR(subnetCIDR(subnet))
		if err != nil || !reserved.Contains(network.IP) || !network.Contains(net.ParseIP(gatewayOf(subnet))) {
			t.Errorf("subnet %d is %s, %v", subnet, subnetCIDR(subnet), err)
		}
	}
}

func TestInterfaceNamesAreShortAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	lab := labIn(t)
	for _, deployment := range []string{"a", "acme", "a-name-as-long-as-a-name-may-be-and-that-is-sixty-three-letters"} {
		for attempt := range 3 {
			name := lab.linkName(deployment, attempt)
			if len(name) > 15 || seen[name] {
				t.Errorf("`%s` is too long or taken", name)
			}
			seen[name] = true
		}
	}
	if len(portOf(lastIndex)) > 15 {
		t.Error("a port's name is too long")
	}
}

func TestHardwareAddressesAreLocalAndStable(t *testing.T) {
	address, err := net.ParseMAC(macOf("acme", "acme-rails-1"))
	if err != nil || address[0] != 0x02 {
		t.Errorf("it is %v, %v", address, err)
	}
	if macOf("acme", "acme-rails-1") != address.String() || macOf("acme", "acme-rails-2") == address.String() {
		t.Error("it changes for one node, or doesn't between two")
	}
}

func TestNamespacesOfDifferentDeploymentsDiffer(t *testing.T) {
	lab := labIn(t)
	if lab.hostNamespace("a", "b-c-1") == lab.hostNamespace("a-b", "c-1") {
		t.Error("two hosts share a namespace")
	}
	if own := labIn(t); own.namespace("a") == lab.namespace("a") || own.linkName("a", 0) == lab.linkName("a", 0) {
		t.Error("two labs share a namespace or a link")
	}
}

func TestIDsComeApartAgain(t *testing.T) {
	deployment, name, serial, err := splitID(makeID("acme", "acme-rails-1", "0a1b"))
	if err != nil || deployment != "acme" || name != "acme-rails-1" || serial != "0a1b" {
		t.Errorf("%s %s %s %v", deployment, name, serial, err)
	}
	if _, _, _, err := splitID("acme"); err == nil {
		t.Error("`acme` passes as an id")
	}
}

func TestNamesThatCannotBeUsed(t *testing.T) {
	lab := labIn(t)
	for name, suffix := range map[string]string{"": "aaaaaa", "Acme": "aaaaaa", "-a": "aaaaaa", "a/b": "aaaaaa", "..": "aaaaaa", "acme": "AAAAAA", "beta": "short"} {
		if _, err := lab.Deployment(name, Owner{Suffix: suffix}); err == nil {
			t.Errorf("name `%s` with suffix `%s` passes", name, suffix)
		}
	}
}

func TestLimitsAreRaisedOnlyWhenHostsNeedIt(t *testing.T) {
	instances, neighbours := limits[0], limits[1]
	for _, one := range []struct {
		limit              limit
		hosts, found, want int
	}{
		{instances, 1, 128, 0}, {instances, 18, 128, 0}, {instances, 19, 128, 2048}, {instances, 19, 8192, 0},
		{instances, 400, 128, 2800}, {neighbours, 22, 1024, 0}, {neighbours, 33, 1024, 16384}, {neighbours, 100, 1024, 20000},
	} {
		if got := one.limit.raiseTo(one.hosts, one.found); got != one.want {
			t.Errorf("%s: %d hosts at %d want %d, not %d", one.limit.path, one.hosts, one.found, one.want, got)
		}
	}
}

func TestMountsAreReadWithTheirBlanks(t *testing.T) {
	got, ok := parseMount(`36 35 98:0 / /var/lib/a\040b rw,noatime shared:1 - cgroup2 none rw,nsdelegate`)
	if want := (mount{root: "/", point: "/var/lib/a b", kind: "cgroup2", options: "rw,nsdelegate"}); !ok || got != want {
		t.Errorf("it reads %+v", got)
	}
	if _, ok := parseMount("nonsense"); ok {
		t.Error("nonsense is a mount")
	}
}

func TestLayersMayLieUnderAwkwardPaths(t *testing.T) {
	if got := escapeLayer(`/a:b,c\d`); got != `/a\:b\,c\\d` {
		t.Errorf("it is %s", got)
	}
}
