# A whole environment on this machine. `flows`, `access.*_from`, `protection`, `expires_at`, `tags` and the
# machines' sizes have no effect here: see README.md.

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
  ssh_port       = var.access.ssh_port
  disks          = [for disk, _ in each.value.data_disks : lab_disk.data["${each.key}-${disk}"].id]

  lifecycle {
    # A newer image is for new hosts; the ones that run are changed by Ansible.
    ignore_changes = [image]
  }
}
