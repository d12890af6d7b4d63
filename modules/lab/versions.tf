terraform {
  required_version = ">= 1.11"

  required_providers {
    lab = {
      source  = "refarch.invalid/refarch/lab"
      version = "0.1.0"
    }
  }
}
