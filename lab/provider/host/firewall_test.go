package host

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestRulesComeDownToEachAddressAndPortOnce(t *testing.T) {
	rules := []Rule{
		{Protocol: "udp", Port: 8301, From: []string{"198.18.1.11", "198.18.1.10"}},
		{Protocol: "tcp", Port: 22, From: []string{"198.18.1.1"}},
		{Protocol: "tcp", Port: 5432, From: []string{"198.18.1.10"}},
		{Protocol: "tcp", Port: 5432, From: []string{"198.18.1.10", "198.18.1.12"}},
	}
	admitted := admissions(rules, "198.18.1.1", 22)
	want := []Rule{
		{"tcp", 22, []string{"198.18.1.1"}},
		{"tcp", 5432, []string{"198.18.1.10", "198.18.1.12"}},
		{"udp", 8301, []string{"198.18.1.10", "198.18.1.11"}},
	}
	got := rulesOf(admitted)
	if !slices.EqualFunc(got, want, func(a, b Rule) bool {
		return a.Protocol == b.Protocol && a.Port == b.Port && slices.Equal(a.From, b.From)
	}) {
		t.Errorf("they are %+v", got)
	}
	text := ruleset(admitted)
	for _, part := range []string{"policy drop", "{ 198.18.1.10 . 8301, 198.18.1.11 . 8301 }", "198.18.1.12 . 5432 }"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	if strings.Count(text, " accept\n") != fixedRules {
		t.Errorf("it has not %d rules:\n%s", fixedRules, text)
	}
}

// printed is what nft 1.1.3 says of a table with one element.
const printed = `{"nftables": [{"metainfo": {"version": "1.1.3", "json_schema_version": 1}},
{"table": {"family": "inet", "name": "refarch", "handle": 1}},
{"chain": {"family": "inet", "table": "refarch", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
{"set": {"family": "inet", "name": "tcp_in", "table": "refarch", "type": ["ipv4_addr", "inet_service"], "handle": 2, "elem": [{"concat": ["198.18.1.10", 22]}]}},
{"rule": {"chain": "input"}}, {"rule": {"chain": "input"}}, {"rule": {"chain": "input"}},
{"rule": {"chain": "input"}}, {"rule": {"chain": "input"}}, {"rule": {"chain": "input"}}]}`

func TestATableIsReadAndAChangedOneIsNotTrusted(t *testing.T) {
	found, closed := parseTable([]byte(printed))
	if !closed || len(found) != 1 || found[0] != (admission{"tcp", "198.18.1.10", 22}) {
		t.Fatalf("it reads %+v, closed %t", found, closed)
	}
	for _, fault := range [][2]string{
		{`"drop"`, `"accept"`}, {`{"rule": {"chain": "input"}}, `, ``}, {`"input", "prio"`, `"output", "prio"`}, {`]}`, ``},
	} {
		if _, closed := parseTable([]byte(strings.Replace(printed, fault[0], fault[1], 1))); closed {
			t.Errorf("with %q for %q it counts as closed", fault[1], fault[0])
		}
	}
}

func TestRulesThatCannotBeAreRefused(t *testing.T) {
	acme := deployment(t, labIn(t), "acme", "aaaaaa")
	for _, rule := range []Rule{
		{"icmp", 1, nil}, {"tcp", 0, nil}, {"tcp", 65536, nil}, {"tcp", 1, []string{"198.18.1.0/24"}}, {"tcp", 1, []string{"} accept"}},
	} {
		if err := acme.SetFirewall(context.Background(), FirewallSpec{"acme-1": {rule}}); err == nil || !strings.Contains(err.Error(), "acme-1") {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}
