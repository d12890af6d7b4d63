package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"refarch.invalid/refarch/lab/provider/host"
)

type firewallResource struct{ configured }

type firewallModel struct {
	ID      types.String            `tfsdk:"id"`
	Network types.String            `tfsdk:"network"`
	Hosts   map[string]guardedModel `tfsdk:"hosts"`
}

type guardedModel struct {
	Host  types.String `tfsdk:"host"`
	Rules []ruleModel  `tfsdk:"rules"`
}

type ruleModel struct {
	Protocol types.String   `tfsdk:"protocol"`
	Port     types.Int64    `tfsdk:"port"`
	From     []types.String `tfsdk:"from"`
}

func (f *firewallResource) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = "lab_firewall"
}

func (f *firewallResource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	rules := schema.ListNestedAttribute{
		Required: true, Description: "What it lets in beside administrative SSH from this machine.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"protocol": schema.StringAttribute{Required: true, Description: "tcp or udp."},
			"port":     schema.Int64Attribute{Required: true},
			"from":     schema.ListAttribute{Required: true, ElementType: types.StringType, Description: "IPv4 addresses."},
		}},
	}
	response.Schema = schema.Schema{
		Description: "What each host of a deployment lets in. All else is dropped, also of connections that stand.",
		Attributes: map[string]schema.Attribute{
			"network": schema.StringAttribute{
				Required: true, Description: "The id of the deployment's lab_network.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"hosts": schema.MapNestedAttribute{
				Required: true, Description: "By the host's name.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"host":  schema.StringAttribute{Required: true, Description: "The id of the lab_host."},
					"rules": rules,
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
	for name, guarded := range m.Hosts {
		spec[name] = guarded.rules()
	}
	return spec
}

func (m guardedModel) rules() []host.Rule {
	rules := []host.Rule{}
	for _, wanted := range m.Rules {
		rule := host.Rule{Protocol: wanted.Protocol.ValueString(), Port: int(wanted.Port.ValueInt64())}
		for _, from := range wanted.From {
			rule.From = append(rule.From, from.ValueString())
		}
		rules = append(rules, rule)
	}
	return rules
}

func (f *firewallResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model firewallModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	f.set(ctx, &model, &response.Diagnostics)
	if !response.Diagnostics.HasError() {
		response.Diagnostics.Append(response.State.Set(ctx, model)...)
	}
}

func (f *firewallResource) set(ctx context.Context, model *firewallModel, diagnostics *diag.Diagnostics) {
	if diagnostics.HasError() {
		return
	}
	model.ID = types.StringValue(f.deployment.Name)
	if err := f.deployment.SetFirewall(ctx, model.spec()); err != nil {
		report(diagnostics, err)
	}
}

// Read forgets the hosts in which other rules stand, so that they are planned to get theirs.
func (f *firewallResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	var model firewallModel
	response.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	for name, guarded := range model.Hosts {
		stands, err := f.deployment.Guarded(ctx, name, guarded.rules())
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
	ctx, done := undisturbed(ctx)
	defer done()
	var model firewallModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	f.set(ctx, &model, &response.Diagnostics)
	if !response.Diagnostics.HasError() {
		response.Diagnostics.Append(response.State.Set(ctx, model)...)
	}
}

func (f *firewallResource) Delete(ctx context.Context, _ resource.DeleteRequest, response *resource.DeleteResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	if err := f.deployment.RemoveFirewall(ctx); err != nil {
		report(&response.Diagnostics, err)
	}
}
