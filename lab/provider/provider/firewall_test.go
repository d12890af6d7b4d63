package provider

import (
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"refarch.invalid/refarch/lab/provider/host"
)

func words(of ...string) []types.String {
	var list []types.String
	for _, one := range of {
		list = append(list, types.StringValue(one))
	}
	return list
}

func TestAHostLetsInTheFlowsThatLeadToIt(t *testing.T) {
	flow := func(from, to string, port int64) flowModel {
		return flowModel{types.StringValue(from), types.StringValue(to), types.Int64Value(port), types.StringValue("tcp")}
	}
	model := firewallModel{
		Sources: map[string][]types.String{"rails": words("198.18.1.10"), "all": words("198.18.1.10", "198.18.1.11")},
		Hosts: map[string]guardedModel{
			"acme-rails-1": {Names: words("rails", "all")}, "acme-postgres-1": {Names: words("postgres", "all")},
		},
		Flows: []flowModel{flow("rails", "postgres", 5432), flow("all", "all", 8301), flow("gitaly", "rails", 443)},
	}
	gossip := host.Rule{Protocol: "tcp", Port: 8301, From: []string{"198.18.1.10", "198.18.1.11"}}
	want := host.FirewallSpec{
		"acme-rails-1":    {gossip, {Protocol: "tcp", Port: 443, From: []string{}}},
		"acme-postgres-1": {{Protocol: "tcp", Port: 5432, From: []string{"198.18.1.10"}}, gossip},
	}
	if got := model.spec(); !reflect.DeepEqual(got, want) {
		t.Errorf("they let in %+v", got)
	}
}
