# The root module of the end-to-end tests, of the shape that refarch renders.

terraform {
  required_version = ">= 1.11"

  required_providers {
    lab = {
      source  = "refarch.invalid/refarch/lab"
      version = "0.1.0"
    }
  }
}

variable "name" {
  type = string
}

variable "suffix" {
  type = string
}

variable "image" {
  type = string
}

variable "ssh_public_key" {
  type = string
}

variable "hosts" {
  type    = number
  default = 1
}

variable "disk_gb" {
  type    = number
  default = 1
}

variable "flows" {
  type    = list(object({ from = string, to = string, port = number, protocol = string, why = string }))
  default = []
}

provider "lab" {
  deployment     = var.name
  owner          = var.suffix
  work_directory = path.root
}

module "environment" {
  source = "./modules/lab"

  identity = {
    name   = var.name
    suffix = var.suffix
  }
  nodes = {
    for index in range(1, var.hosts + 1) : "${var.name}-all-in-one-${index}" => {
      component  = "all_in_one"
      zone       = 1
      machine    = { vcpu = 8, memory_gb = 16 }
      root_disk  = { size_gb = 40 }
      data_disks = { data = { size_gb = var.disk_gb } }
    }
  }
  flows            = var.flows
  load_balancers   = {}
  object_storage   = null
  managed_services = {}
  access           = { ssh_port = 2222, ssh_from = [], web_from = [] }
  protection       = false
  expires_at       = null
  tags             = {}
  ssh_public_key   = var.ssh_public_key
  cloud            = { image = var.image }
}

output "nodes" {
  value = module.environment.nodes
}

output "access" {
  value = module.environment.access
}

output "endpoints" {
  value = module.environment.endpoints
}

output "managed_services" {
  value = module.environment.managed_services
}

output "object_storage" {
  value = module.environment.object_storage
}

output "cidrs" {
  value = module.environment.cidrs
}

output "simulated" {
  value = module.environment.simulated
}
