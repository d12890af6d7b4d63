package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"refarch.invalid/refarch/lab/provider/host"
)

type networkResource struct{ configured }

type networkModel struct {
	ID      types.String `tfsdk:"id"`
	Name    types.String `tfsdk:"name"`
	CIDR    types.String `tfsdk:"cidr"`
	Gateway types.String `tfsdk:"gateway"`
	Link    types.String `tfsdk:"link"`
}

func (n *networkResource) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = "lab_network"
}

func (n *networkResource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	computed := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, PlanModifiers: kept, Description: description}
	}
	response.Schema = schema.Schema{
		Description: "The network of a deployment: a namespace with a bridge, and a link to this machine. Nothing leads from it to the outside.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
				Description:   "The deployment's name, as the provider has it.",
			},
			"id":      computed("The deployment's name: it stays when a broken network is repaired, so its hosts stay too."),
			"cidr":    computed("The subnet, a /24 of 198.18.0.0/15."),
			"gateway": computed("This machine's address in the subnet."),
			"link":    computed("The interface on this machine."),
		},
	}
}

// ModifyPlan knows the id before the network is made: hosts refer to it, and would otherwise be replaced when
// all that is missing is a bridge.
func (n *networkResource) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	if request.Plan.Raw.IsNull() || n.deployment == nil {
		return
	}
	var plan networkModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	if response.Diagnostics.HasError() {
		return
	}
	if !plan.Name.IsUnknown() && plan.Name.ValueString() != n.deployment.Name {
		response.Diagnostics.AddAttributeError(path.Root("name"), "a deployment has one network",
			"its name must be the provider's `deployment`, `"+n.deployment.Name+"`. Write that.")
		return
	}
	plan.ID = types.StringValue(n.deployment.NetworkID())
	if recorded, err := n.deployment.ReadNetwork(ctx); err == nil && recorded.ID != "" {
		fillNetwork(&plan, recorded)
	}
	response.Diagnostics.Append(response.Plan.Set(ctx, plan)...)
}

func fillNetwork(model *networkModel, network host.Network) {
	model.ID = types.StringValue(network.ID)
	model.CIDR = types.StringValue(network.CIDR)
	model.Gateway = types.StringValue(network.Gateway)
	model.Link = types.StringValue(network.Link)
}

func (n *networkResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model networkModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	claimed, err := n.deployment.ClaimNetwork(ctx)
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	fillNetwork(&model, claimed)
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
	if err := n.deployment.MakeNetwork(ctx); err != nil {
		report(&response.Diagnostics, err)
	}
}

func (n *networkResource) Read(ctx context.Context, _ resource.ReadRequest, response *resource.ReadResponse) {
	network, err := n.deployment.ReadNetwork(ctx)
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	if !network.Present {
		response.State.RemoveResource(ctx)
		return
	}
	var model networkModel
	response.Diagnostics.Append(response.State.Get(ctx, &model)...)
	fillNetwork(&model, network)
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
}

// Update has nothing to change: whatever differs replaces the network.
func (n *networkResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	response.State.Raw = request.Plan.Raw
}

func (n *networkResource) Delete(ctx context.Context, _ resource.DeleteRequest, response *resource.DeleteResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	if err := n.deployment.DestroyNetwork(ctx); err != nil {
		report(&response.Diagnostics, err)
	}
}
