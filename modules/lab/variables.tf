# The inputs of every refarch module, equal in all of them but for the type of `cloud`
# (../contract.schema.json states them).

variable "identity" {
  description = "The deployment's name, and the suffix that was drawn for it once and marks what belongs to it."
  type = object({
    name   = string
    suffix = string
  })
  nullable = false
}

variable "nodes" {
  description = "The machines by name: what each is for, where it goes, how big it is, and its disks."
  type = map(object({
    component    = string
    zone         = number
    architecture = optional(string, "amd64")
    ssh_port     = optional(number)
    machine = object({
      vcpu      = number
      memory_gb = number
      type      = optional(string)
    })
    root_disk = object({
      size_gb = number
    })
    data_disks = map(object({
      size_gb = number
    }))
  }))
  nullable = false
}

variable "flows" {
  description = "Who connects to whom (components, `all` nodes, `users`), on which port, and why: the rules of the network."
  type = list(object({
    from     = string
    to       = string
    port     = number
    protocol = string
    why      = string
  }))
  nullable = false
}

variable "load_balancers" {
  description = "The cloud's load balancers by name: the component behind each, and its ports."
  type = map(object({
    component = string
    ports     = list(number)
  }))
  nullable = false

  validation {
    condition     = length(var.load_balancers) == 0
    error_message = "The lab has no load balancer of its own; leave `load_balancers` empty."
  }
}

variable "object_storage" {
  description = "The buckets that GitLab stores objects in; null where it keeps them on its own disks."
  type = object({
    buckets = list(string)
  })
  nullable = true

  validation {
    condition     = var.object_storage == null
    error_message = "The lab has no object storage but that of a node; leave `object_storage` null."
  }
}

variable "managed_services" {
  description = "What the cloud provides instead of nodes, by name."
  type = map(object({
    kind = string
  }))
  nullable = false

  validation {
    condition     = length(var.managed_services) == 0
    error_message = "The lab has no managed services; leave `managed_services` empty."
  }
}

variable "access" {
  description = "The port of administrative SSH where a node names no other, and the networks that may reach SSH and the web."
  type = object({
    ssh_port = number
    ssh_from = list(string)
    web_from = list(string)
  })
  nullable = false
}

variable "protection" {
  description = "Whether the cloud's deletion protection guards what holds data."
  type        = bool
  nullable    = false
}

variable "expires_at" {
  description = "When a throwaway deployment may be removed; null for one that stays."
  type        = string
  nullable    = true
}

variable "tags" {
  description = "Tags for everything that can carry them."
  type        = map(string)
  nullable    = false
}

variable "ssh_public_key" {
  description = "The key that administrative SSH accepts, one line as in authorized_keys."
  type        = string
  nullable    = false
}

variable "cloud" {
  description = "The lab's own settings: the image's folder, the one that holds rootfs/."
  type = object({
    image = string
  })
  nullable = false
}
