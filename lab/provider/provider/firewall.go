package provider

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"refarch.invalid/refarch/lab/provider/host"
)

type firewallResource struct{ configured }

type firewallModel struct {
	ID      types.String              `tfsdk:"id"`
	Network types.String              `tfsdk:"network"`
	Sources map[string][]types.String `tfsdk:"sources"`
	Hosts   map[string]guardedModel   `tfsdk:"hosts"`
	Flows   []flowModel               `tfsdk:"flows"`
}

type guardedModel struct {
	Host  types.String   `tfsdk:"host"`
	Names []types.String `tfsdk:"names"`
}

type flowModel struct {
	From     types.String `tfsdk:"from"`
	To       types.String `tfsdk:"to"`
	Port     types.Int64  `tfsdk:"port"`
	Protocol types.String `tfsdk:"protocol"`
}

func (f *firewallResource) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = "lab_firewall"
}

func (f *firewallResource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	words := func(description string) schema.ListAttribute {
		return schema.ListAttribute{Required: true, ElementType: types.StringType, Description: description}
	}
	response.Schema = schema.Schema{
		Description: "What the hosts of a deployment let in beside administrative SSH from this machine. All else is dropped, also of connections that stand.",
		Attributes: map[string]schema.Attribute{
			"network": schema.StringAttribute{
				Required: true, Description: "The id of the deployment's lab_network.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			// Addresses are listed by name and not with each flow: Terraform's time goes by how many values there are.
			"sources": schema.MapAttribute{
				Required: true, ElementType: types.ListType{ElemType: types.StringType},
				Description: "IPv4 addresses by the name that a flow comes from. A name without any lets nobody in.",
			},
			"hosts": schema.MapNestedAttribute{
				Required: true, Description: "By the host's name.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"host":  schema.StringAttribute{Required: true, Description: "The id of the lab_host."},
					"names": words("What a flow may call it that leads to it."),
				}},
			},
			"flows": schema.ListNestedAttribute{
				Required: true, Description: "Who connects to whom.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"from":     schema.StringAttribute{Required: true},
					"to":       schema.StringAttribute{Required: true},
					"port":     schema.Int64Attribute{Required: true},
					"protocol": schema.StringAttribute{Required: true, Description: "tcp or udp."},
				}},
			},
			"id": schema.StringAttribute{
				Computed: true, Description: "The deployment's name.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
		},
	}
}

func (m firewallModel) spec() host.FirewallSpec {
	spec := host.FirewallSpec{}
	for name := range m.Hosts {
		spec[name] = m.rules(name)
	}
	return spec
}

// rules are the flows that lead to a host, with the addresses that they come from.
func (m firewallModel) rules(name string) []host.Rule {
	rules := []host.Rule{}
	for _, flow := range m.Flows {
		if !slices.Contains(m.Hosts[name].Names, flow.To) {
			continue
		}
		rule := host.Rule{Protocol: flow.Protocol.ValueString(), Port: int(flow.Port.ValueInt64()), From: []string{}}
		for _, from := range m.Sources[flow.From.ValueString()] {
			rule.From = append(rule.From, from.ValueString())
		}
		rules = append(rules, rule)
	}
	return rules
}

func (f *firewallResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	f.set(ctx, request.Plan, &response.State, &response.Diagnostics)
}

// set makes the planned rules so, and keeps them as the state once they are.
func (f *firewallResource) set(ctx context.Context, plan tfsdk.Plan, state *tfsdk.State, diagnostics *diag.Diagnostics) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model firewallModel
	diagnostics.Append(plan.Get(ctx, &model)...)
	if diagnostics.HasError() {
		return
	}
	model.ID = types.StringValue(f.deployment.Name)
	if err := f.deployment.SetFirewall(ctx, model.spec()); err != nil {
		report(diagnostics, err)
		return
	}
	diagnostics.Append(state.Set(ctx, model)...)
}

// Read forgets the hosts in which other rules stand, so that they are planned to get theirs.
func (f *firewallResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	var model firewallModel
	response.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	for name := range model.Hosts {
		stands, err := f.deployment.Guarded(ctx, name, model.rules(name))
		if err != nil {
			report(&response.Diagnostics, err)
			return
		}
		if !stands {
			delete(model.Hosts, name)
		}
	}
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
}

func (f *firewallResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	f.set(ctx, request.Plan, &response.State, &response.Diagnostics)
}

func (f *firewallResource) Delete(ctx context.Context, _ resource.DeleteRequest, response *resource.DeleteResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	if err := f.deployment.RemoveFirewall(ctx); err != nil {
		report(&response.Diagnostics, err)
	}
}
