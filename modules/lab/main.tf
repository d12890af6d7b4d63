# A whole environment on this machine. `access.*_from`, `protection`, `expires_at`, `tags` and the machines'
# sizes have no effect here: see README.md.

locals {
  disks = merge([
    for node, wanted in var.nodes : {
      for disk, size in wanted.data_disks : "${node}-${disk}" => {
        node    = node
        disk    = disk
        size_gb = size.size_gb
      }
    }
  ]...)

  # Whoever answers for the deployment: its load balancer, else its web nodes, else the one node there is.
  entrances = flatten([
    for component in ["external_lb", "rails", "all_in_one"] : [
      for node in sort(keys(var.nodes)) : node if var.nodes[node].component == component
    ]
  ])
  entrance = one(slice(local.entrances, 0, min(1, length(local.entrances))))

  # Where its own nodes reach it, in architectures that have a balancer for that.
  interiors = [for node in sort(keys(var.nodes)) : node if var.nodes[node].component == "internal_lb"]
  interior  = one(slice(local.interiors, 0, min(1, length(local.interiors))))

  ssh_ports = { for node, wanted in var.nodes : node => coalesce(wanted.ssh_port, var.access.ssh_port) }

  # The addresses behind each name that a flow may come from. Whoever is outside comes through this machine.
  sources = merge(
    {
      for component in distinct([for wanted in values(var.nodes) : wanted.component]) : component => [
        for node in sort(keys(var.nodes)) : lab_host.node[node].address if var.nodes[node].component == component
      ]
    },
    {
      all   = [for node in sort(keys(var.nodes)) : lab_host.node[node].address]
      users = [lab_network.this.gateway]
    },
  )
}

resource "lab_network" "this" {
  name = var.identity.name
}

resource "lab_disk" "data" {
  for_each = local.disks

  name    = each.key
  size_gb = each.value.size_gb

  # Disks and hosts are recorded under the network's name, so it comes first and goes last.
  depends_on = [lab_network.this]
}

resource "lab_host" "node" {
  for_each = var.nodes

  name           = each.key
  network        = lab_network.this.id
  image          = var.cloud.image
  ssh_public_key = var.ssh_public_key
  ssh_port       = local.ssh_ports[each.key]
  disks          = [for disk, _ in each.value.data_disks : lab_disk.data["${each.key}-${disk}"].id]

  lifecycle {
    # A newer image is for new hosts; the ones that run are changed by Ansible.
    ignore_changes = [image]
  }
}

# Every host lets in the flows that lead to it and administrative SSH from this machine, and nothing else.
resource "lab_firewall" "this" {
  network = lab_network.this.id

  sources = local.sources
  hosts = {
    for node, wanted in var.nodes : node => {
      host  = lab_host.node[node].id
      names = [wanted.component, "all"]
    }
  }
  flows = [
    for flow in var.flows : { from = flow.from, to = flow.to, port = flow.port, protocol = flow.protocol }
  ]
}
