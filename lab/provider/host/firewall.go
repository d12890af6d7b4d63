package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// firewallTable is the lab's own table in each host's network namespace.
const firewallTable = "refarch"

// setSuffix follows the protocol in the name of a set: `tcp` alone is a word of nft's own.
const setSuffix = "_in"

// fixedRules is the number of rules that every host's chain has, whatever it allows.
const fixedRules = 6

// Rule lets addresses in to a port.
type Rule struct {
	Protocol string   `json:"protocol"`
	Port     int      `json:"port"`
	From     []string `json:"from"`
}

// FirewallSpec is what each host lets in beside administrative SSH from this machine, by the host's name.
type FirewallSpec map[string][]Rule

// admission is one address that may reach one port: what the rules come down to.
type admission struct {
	protocol, from string
	port           int
}

func (f FirewallSpec) check() error {
	for node, rules := range f {
		for _, rule := range rules {
			problem := ""
			if rule.Protocol != "tcp" && rule.Protocol != "udp" {
				problem = fmt.Sprintf("protocol `%s` is neither tcp nor udp", rule.Protocol)
			}
			if rule.Port < 1 || rule.Port > 65535 {
				problem = fmt.Sprintf("port %d is outside of 1 to 65535", rule.Port)
			}
			for _, from := range rule.From {
				if net.ParseIP(from).To4() == nil {
					problem = fmt.Sprintf("`%s` is no IPv4 address", from)
				}
			}
			if problem != "" {
				return &Problem{Summary: fmt.Sprintf("host `%s` gets no firewall", node), Detail: problem + "."}
			}
		}
	}
	return nil
}

// SetFirewall writes down what each host lets in and makes it so on those that are there. A host that is
// made later, or again, has its rules from before its first process.
func (d *Deployment) SetFirewall(ctx context.Context, wanted FirewallSpec) error {
	if err := wanted.check(); err != nil {
		return err
	}
	release, err := d.lab.lockThing(ctx, d.Name, "firewall")
	if err != nil {
		return err
	}
	defer release()
	var noted *record
	err = d.change(ctx, func(r *record) error {
		if r.Network == nil {
			return d.notRecorded("network")
		}
		r.Firewall = wanted
		noted = r
		return nil
	})
	if err != nil {
		return err
	}
	for _, node := range sortedKeys(wanted) {
		if err := d.guard(ctx, noted, node); err != nil {
			return err
		}
	}
	return nil
}

// guard puts a host's recorded rules in its namespace; nothing where there are none, or no such host.
func (d *Deployment) guard(ctx context.Context, r *record, node string) error {
	rules, ruled := r.Firewall[node]
	recorded, known := r.Hosts[node]
	if !ruled || !known || r.Network == nil || !namespaceExists(d.lab.hostNamespace(d.Name, node)) {
		return nil
	}
	admitted := admissions(rules, gatewayOf(r.Network.Subnet), recorded.Spec.SSHPort)
	_, err := d.lab.nft(ctx, d.Name, recorded.Spec, ruleset(admitted), "-f", "-")
	return err
}

// RemoveFirewall opens every host again.
func (d *Deployment) RemoveFirewall(ctx context.Context) error {
	release, err := d.lab.lockThing(ctx, d.Name, "firewall")
	if err != nil {
		return err
	}
	defer release()
	var noted *record
	err = d.change(ctx, func(r *record) error {
		r.Firewall = nil
		noted = r
		return nil
	})
	if err != nil {
		return err
	}
	for _, node := range sortedKeys(noted.Hosts) {
		if !namespaceExists(d.lab.hostNamespace(d.Name, node)) {
			continue
		}
		if _, err := d.lab.nft(ctx, d.Name, noted.Hosts[node].Spec, emptyTable, "-f", "-"); err != nil {
			return err
		}
	}
	return d.settle(ctx)
}

// Guarded says whether exactly these rules are recorded for a host and stand in it. A host that is not there counts as guarded: that
// it is missing is said of the host itself, and it gets its rules when it is made.
func (d *Deployment) Guarded(ctx context.Context, node string, rules []Rule) (bool, error) {
	r, err := d.view()
	if err != nil {
		return false, err
	}
	recorded, known := r.Hosts[node]
	if !known || r.Network == nil || !namespaceExists(d.lab.hostNamespace(d.Name, node)) {
		return true, nil
	}
	gateway := gatewayOf(r.Network.Subnet)
	wanted := admissions(rules, gateway, recorded.Spec.SSHPort)
	if noted, ok := r.Firewall[node]; !ok || !slices.Equal(admissions(noted, gateway, recorded.Spec.SSHPort), wanted) {
		return false, nil
	}
	found, closed := d.lab.admitted(ctx, d.Name, recorded.Spec)
	return closed && slices.Equal(found, wanted), nil
}

// admissions are the rules and administrative SSH as pairs of address and port, each once and sorted.
func admissions(rules []Rule, gateway string, sshPort int) []admission {
	all := []admission{{protocol: "tcp", from: gateway, port: sshPort}}
	for _, rule := range rules {
		for _, from := range rule.From {
			all = append(all, admission{protocol: rule.Protocol, from: from, port: rule.Port})
		}
	}
	slices.SortFunc(all, compareAdmissions)
	return slices.Compact(all)
}

func compareAdmissions(a, b admission) int {
	if order := strings.Compare(a.protocol, b.protocol); order != 0 {
		return order
	}
	if a.port != b.port {
		return a.port - b.port
	}
	return strings.Compare(a.from, b.from)
}

// emptyTable removes the lab's table, whether it is there or not.
const emptyTable = "table inet " + firewallTable + "\ndelete table inet " + firewallTable + "\n"

// ruleset is what nft is given: the old table goes and the new one comes in one transaction.
//
// Only answers are let in for being answers: a connection that others opened must be allowed for as long as it
// lives, so closing a port ends what goes through it.
func ruleset(admitted []admission) string {
	var text strings.Builder
	text.WriteString(emptyTable)
	text.WriteString("table inet " + firewallTable + " {\n")
	for _, protocol := range []string{"tcp", "udp"} {
		text.WriteString("set " + protocol + setSuffix + " {\ntype ipv4_addr . inet_service\n")
		if elements := elementsOf(admitted, protocol); len(elements) > 0 {
			text.WriteString("elements = { " + strings.Join(elements, ", ") + " }\n")
		}
		text.WriteString("}\n")
	}
	text.WriteString(`chain input {
type filter hook input priority filter; policy drop;
ct state established ct direction reply accept
ct state related accept
iif "lo" accept
meta l4proto { icmp, ipv6-icmp } accept
ip saddr . tcp dport @tcp_in accept
ip saddr . udp dport @udp_in accept
}
}
`)
	return text.String()
}

func elementsOf(admitted []admission, protocol string) []string {
	var elements []string
	for _, one := range admitted {
		if one.protocol == protocol {
			elements = append(elements, one.from+" . "+strconv.Itoa(one.port))
		}
	}
	return elements
}

// nft runs the image's own nft in a host's network namespace, so that this machine needs none. The image and
// not the host's tree, which its root may have changed.
func (l *Lab) nft(ctx context.Context, deployment string, spec HostSpec, input string, arguments ...string) ([]byte, error) {
	root, err := filepath.EvalSymlinks(filepath.Join(spec.Image, "rootfs"))
	if err != nil {
		root = l.hostRoot(deployment, spec.Name)
	}
	arguments = append([]string{
		"--net=" + filepath.Join(namespaceFolder, l.hostNamespace(deployment, spec.Name)), "--root=" + root,
		"/usr/sbin/nft",
	}, arguments...)
	return commandWith(ctx, bytes.NewReader([]byte(input)), "nsenter", arguments...)
}

// admitted reads what a host lets in, sorted, and whether all else is shut out: false where the table is
// missing or not of the lab's making.
func (l *Lab) admitted(ctx context.Context, deployment string, spec HostSpec) ([]admission, bool) {
	printed, err := l.nft(ctx, deployment, spec, "", "-j", "list", "table", "inet", firewallTable)
	if err != nil {
		return nil, false
	}
	return parseTable(printed)
}

// listing is the part of nft's JSON that the lab looks at.
type listing struct {
	Objects []struct {
		Chain *struct{ Hook, Policy string }
		Rule  *struct{ Chain string }
		Set   *struct {
			Name     string
			Elements []struct{ Concat []any } `json:"elem"`
		}
	} `json:"nftables"`
}

func parseTable(printed []byte) ([]admission, bool) {
	var table listing
	if err := json.Unmarshal(printed, &table); err != nil {
		return nil, false
	}
	var found []admission
	closed, rules := false, 0
	for _, object := range table.Objects {
		switch {
		case object.Chain != nil:
			closed = object.Chain.Hook == "input" && object.Chain.Policy == "drop"
		case object.Rule != nil:
			rules++
		case object.Set != nil:
			for _, element := range object.Set.Elements {
				found = append(found, admissionOf(strings.TrimSuffix(object.Set.Name, setSuffix), element.Concat))
			}
		}
	}
	slices.SortFunc(found, compareAdmissions)
	return found, closed && rules == fixedRules
}

func admissionOf(protocol string, concat []any) admission {
	one := admission{protocol: protocol}
	for _, part := range concat {
		switch value := part.(type) {
		case string:
			one.from = value
		case float64:
			one.port = int(value)
		}
	}
	return one
}

// rulesOf joins admissions to rules again, for people.
func rulesOf(admitted []admission) []Rule {
	rules := []Rule{}
	for _, one := range admitted {
		last := len(rules) - 1
		if last >= 0 && rules[last].Protocol == one.protocol && rules[last].Port == one.port {
			rules[last].From = append(rules[last].From, one.from)
			continue
		}
		rules = append(rules, Rule{Protocol: one.protocol, Port: one.port, From: []string{one.from}})
	}
	return rules
}
