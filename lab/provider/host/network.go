package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Network is a deployment's network: a namespace with a bridge, and one link to this machine. Nothing leads
// from it to the outside.
type Network struct {
	ID      string
	CIDR    string
	Gateway string
	Link    string
	Present bool
}

const (
	namespaceFolder = "/run/netns"
	// The magic number by which statfs tells a namespace's file from an empty one that a lost mount left.
	namespaceMagic = 0x6e736673
)

// ClaimNetwork writes down the network that is about to be made, and returns what it will be.
func (d *Deployment) ClaimNetwork(ctx context.Context) (Network, error) {
	var claimed networkRecord
	err := d.change(ctx, func(r *record) error {
		if r.Network == nil {
			chosen, err := d.chooseNetwork(ctx)
			if err != nil {
				return err
			}
			r.Network = &chosen
		}
		claimed = *r.Network
		return nil
	})
	return d.describe(claimed), err
}

// NetworkID is known before the network is made: there is one a deployment.
func (d *Deployment) NetworkID() string { return d.Name }

func (d *Deployment) describe(r networkRecord) Network {
	return Network{ID: d.NetworkID(), CIDR: subnetCIDR(r.Subnet), Gateway: gatewayOf(r.Subnet), Link: r.Link}
}

func (d *Deployment) chooseNetwork(ctx context.Context) (networkRecord, error) {
	subnets, links, err := d.lab.heldNetworks(d.Name)
	if err != nil {
		return networkRecord{}, err
	}
	inUse, err := routedNetworks(ctx)
	if err != nil {
		return networkRecord{}, err
	}
	subnet, err := freeSubnet(d.lab.firstSubnet(), subnets, inUse)
	if err != nil {
		return networkRecord{}, err
	}
	for attempt := 0; ; attempt++ {
		name := d.lab.linkName(d.Name, attempt)
		if _, err := net.InterfaceByName(name); err != nil && !links[name] {
			return networkRecord{Subnet: subnet, Link: name}, nil
		}
	}
}

// heldNetworks lists what the records of the other deployments hold. A record that can't be read holds
// nothing here; its network still shows in the machine's routes.
func (l *Lab) heldNetworks(except string) (subnets map[int]bool, links map[string]bool, err error) {
	names, err := l.deployments()
	if err != nil {
		return nil, nil, err
	}
	subnets, links = map[int]bool{}, map[string]bool{}
	for _, name := range names {
		loaded, err := l.load(name)
		if name == except || err != nil || loaded.Network == nil {
			continue
		}
		subnets[loaded.Network.Subnet] = true
		links[loaded.Network.Link] = true
	}
	return subnets, links, nil
}

// deployments lists the names that have a folder in the lab's state.
func (l *Lab) deployments() ([]string, error) {
	entries, err := os.ReadDir(l.state)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() && namePattern.MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

func routedNetworks(ctx context.Context) ([]*net.IPNet, error) {
	printed, err := command(ctx, "ip", "-json", "-4", "route", "show", "table", "all")
	if err != nil {
		return nil, err
	}
	var routes []struct {
		Destination string `json:"dst"`
	}
	if err := json.Unmarshal(printed, &routes); err != nil {
		return nil, fmt.Errorf("read the routes of this machine: %w", err)
	}
	var networks []*net.IPNet
	for _, route := range routes {
		if network := parseDestination(route.Destination); network != nil {
			networks = append(networks, network)
		}
	}
	return networks, nil
}

// parseDestination reads a route's destination; nil for those that cover so much that the lab's own, more
// precise route wins over them.
func parseDestination(destination string) *net.IPNet {
	if _, network, err := net.ParseCIDR(destination); err == nil {
		if ones, _ := network.Mask.Size(); ones >= 8 {
			return network
		}
		return nil
	}
	if address := net.ParseIP(destination).To4(); address != nil {
		return &net.IPNet{IP: address, Mask: net.CIDRMask(32, 32)}
	}
	return nil
}

// MakeNetwork makes what is missing of a claimed network and plugs the hosts in again that are running.
func (d *Deployment) MakeNetwork(ctx context.Context) error {
	release, err := d.lab.lockThing(ctx, d.Name, "network")
	if err != nil {
		return err
	}
	defer release()
	r, err := d.view()
	if err != nil {
		return err
	}
	if r.Network == nil {
		return d.vanished(ctx, "network")
	}
	if err := d.ensureBridge(ctx); err != nil {
		return err
	}
	if err := d.ensureUplink(ctx, *r.Network); err != nil {
		return err
	}
	for node := range r.Hosts {
		if namespaceExists(d.lab.hostNamespace(d.Name, node)) {
			if err := d.connect(ctx, r, node); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Deployment) notRecorded(what string) error {
	return &Problem{
		Summary: "the lab's record is gone",
		Detail: fmt.Sprintf("the %s of `%s` was swept away while it was being made. Run the command again.",
			what, d.Name),
	}
}

// vanished says that the record went away between claiming and making, and takes the lock's folder with it.
func (d *Deployment) vanished(ctx context.Context, what string) error {
	return errors.Join(d.notRecorded(what), d.lab.forgetIfEmpty(ctx, d.Name))
}

func (d *Deployment) ensureBridge(ctx context.Context) error {
	within := d.lab.namespace(d.Name)
	if err := ensureNamespace(ctx, within); err != nil {
		return err
	}
	links, err := linksIn(ctx, within)
	if err != nil {
		return err
	}
	if _, ok := links[bridge]; !ok {
		if _, err := command(ctx, "ip", "-n", within, "link", "add", bridge, "type", "bridge"); err != nil {
			return err
		}
	}
	_, err = command(ctx, "ip", "-n", within, "link", "set", bridge, "up")
	return err
}

func (d *Deployment) ensureUplink(ctx context.Context, r networkRecord) error {
	within := d.lab.namespace(d.Name)
	links, err := linksIn(ctx, within)
	if err != nil {
		return err
	}
	if _, ok := links[uplink]; !ok {
		if _, err := command(ctx, "ip", "link", "add", r.Link, "type", "veth", "peer", "name", uplink, "netns", within); err != nil {
			return err
		}
	}
	alias := "refarch lab " + d.Name
	for _, arguments := range [][]string{
		{"-n", within, "link", "set", uplink, "master", bridge, "up"},
		{"link", "set", r.Link, "alias", alias, "up"},
		{"address", "replace", gatewayOf(r.Subnet) + "/24", "dev", r.Link},
	} {
		if _, err := command(ctx, "ip", arguments...); err != nil {
			return err
		}
	}
	return nil
}

// ReadNetwork says what is recorded of the network and whether all of it is there.
func (d *Deployment) ReadNetwork(ctx context.Context) (Network, error) {
	r, err := d.view()
	if err != nil || r.Network == nil {
		return Network{}, err
	}
	network := d.describe(*r.Network)
	network.Present, err = d.lab.networkPresent(ctx, d.Name, *r.Network)
	return network, err
}

func (l *Lab) networkPresent(ctx context.Context, deployment string, r networkRecord) (bool, error) {
	within := l.namespace(deployment)
	if !namespaceExists(within) {
		return false, nil
	}
	links, err := linksIn(ctx, within)
	if err != nil {
		return false, err
	}
	if !links[bridge].up() || !links[uplink].up() || links[uplink].Master != bridge {
		return false, nil
	}
	outer, err := net.InterfaceByName(r.Link)
	if err != nil || outer.Flags&net.FlagUp == 0 {
		return false, nil
	}
	addresses, err := outer.Addrs()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(addresses, func(address net.Addr) bool {
		return address.String() == gatewayOf(r.Subnet)+"/24"
	}), nil
}

// DestroyNetwork removes the namespace, and with it the bridge and every cable. The allocation of subnet and
// addresses stays while hosts or disks are recorded, so that a network made again is the same one.
func (d *Deployment) DestroyNetwork(ctx context.Context) error {
	release, err := d.lab.lockThing(ctx, d.Name, "network")
	if err != nil {
		return err
	}
	defer release()
	if err := d.CheckOwner(); err != nil {
		return err
	}
	if err := removeNamespace(ctx, d.lab.namespace(d.Name)); err != nil {
		return err
	}
	return d.settle(ctx)
}

// connect plugs a host's namespace into the bridge, whatever of it is missing.
func (d *Deployment) connect(ctx context.Context, r *record, node string) error {
	within, inside := d.lab.namespace(d.Name), d.lab.hostNamespace(d.Name, node)
	index, ok := r.Addresses[node]
	if !ok || r.Network == nil {
		return d.notRecorded("host " + node)
	}
	port := portOf(index)
	links, err := linksIn(ctx, inside)
	if err != nil {
		return err
	}
	if _, ok := links[hostLink]; !ok {
		if _, err := command(ctx, "ip", "-n", within, "link", "add", port, "type", "veth",
			"peer", "name", hostLink, "address", macOf(d.Name, node), "netns", inside); err != nil {
			return err
		}
	}
	for _, arguments := range [][]string{
		{"-n", within, "link", "set", port, "master", bridge, "up"},
		{"-n", inside, "link", "set", "lo", "up"},
		{"-n", inside, "address", "replace", addressOf(r.Network.Subnet, index) + "/24", "dev", hostLink},
		{"-n", inside, "link", "set", hostLink, "up"},
	} {
		if _, err := command(ctx, "ip", arguments...); err != nil {
			return err
		}
	}
	return nil
}

// connected says whether a host's cable is whole.
func (l *Lab) connected(ctx context.Context, deployment, node string, index int) (bool, error) {
	inside := l.hostNamespace(deployment, node)
	if !namespaceExists(inside) || !namespaceExists(l.namespace(deployment)) {
		return false, nil
	}
	outer, err := linksIn(ctx, l.namespace(deployment))
	if err != nil {
		return false, err
	}
	inner, err := linksIn(ctx, inside)
	if err != nil {
		return false, err
	}
	port := outer[portOf(index)]
	return port.up() && port.Master == bridge && inner[hostLink].up(), nil
}

type link struct {
	Name   string   `json:"ifname"`
	Master string   `json:"master"`
	Flags  []string `json:"flags"`
}

func (l link) up() bool { return slices.Contains(l.Flags, "UP") }

func linksIn(ctx context.Context, namespace string) (map[string]link, error) {
	printed, err := command(ctx, "ip", "-n", namespace, "-json", "link", "show")
	if err != nil {
		return nil, err
	}
	var listed []link
	if err := json.Unmarshal(printed, &listed); err != nil {
		return nil, fmt.Errorf("read the links of namespace %s: %w", namespace, err)
	}
	links := map[string]link{}
	for _, one := range listed {
		links[one.Name] = one
	}
	return links, nil
}

func namespaceExists(name string) bool {
	var status syscall.Statfs_t
	err := syscall.Statfs(filepath.Join(namespaceFolder, name), &status)
	return err == nil && status.Type == namespaceMagic
}

func ensureNamespace(ctx context.Context, name string) error {
	if namespaceExists(name) {
		return nil
	}
	// A file without a namespace behind it, as a killed `ip netns add` leaves it, would be in the way.
	if err := os.Remove(filepath.Join(namespaceFolder, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, err := command(ctx, "ip", "netns", "add", name)
	return err
}

func removeNamespace(ctx context.Context, name string) error {
	path := filepath.Join(namespaceFolder, name)
	if namespaceExists(name) {
		// Its links go first: they would otherwise live as long as any process in the namespace.
		links, err := linksIn(ctx, name)
		if err != nil {
			return err
		}
		for _, removable := range links {
			if removable.Name != "lo" {
				// The other end of a cable may have taken this one with it.
				_, _ = command(ctx, "ip", "-n", name, "link", "delete", removable.Name)
			}
		}
		if _, err := command(ctx, "ip", "netns", "delete", name); err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
