# The outputs of every refarch module, equal in all of them (../contract.schema.json states them).

output "nodes" {
  description = "What was made for each node."
  value = {
    for node, wanted in var.nodes : node => {
      provider_id     = lab_host.node[node].id
      zone            = wanted.zone
      private_address = lab_host.node[node].address
      public_address  = null
      data_disks = {
        for disk, _ in wanted.data_disks : disk => {
          provider_id = lab_disk.data["${node}-${disk}"].id
          path        = lab_disk.data["${node}-${disk}"].path
          size_gb     = lab_disk.data["${node}-${disk}"].size_gb
        }
      }
    }
  }
}

output "access" {
  description = "How administrative SSH reaches each node."
  value = {
    for node, _ in var.nodes : node => {
      host          = lab_host.node[node].address
      port          = local.ssh_ports[node]
      user          = "root"
      proxy_command = null
    }
  }
}

output "endpoints" {
  description = "Where the deployment is reached from outside and inside, and where health checks come from."
  value = {
    external = {
      address            = local.entrance == null ? null : lab_host.node[local.entrance].address
      health_checks_from = ["${lab_network.this.gateway}/32"]
    }
    internal = local.interior == null ? null : {
      address            = lab_host.node[local.interior].address
      health_checks_from = ["${lab_network.this.gateway}/32"]
    }
  }
}

output "managed_services" {
  description = "What the cloud provides instead of nodes; the lab provides none."
  value       = {}
}

output "object_storage" {
  description = "The buckets and how to reach them; the lab has none, for its S3 server is a node like others."
  value       = null
}

output "cidrs" {
  description = "The networks that the deployment consists of."
  value = {
    network = lab_network.this.cidr
  }
}

output "simulated" {
  description = "What of the machines is not as the inputs say, as a sentence; null where everything is."
  value       = "every node shares the lab machine's cores, memory and disk: the sizes of machines and root disks have no effect"
}
