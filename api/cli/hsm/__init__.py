"""`onecard hsm`: the key service and its ceremonies."""
