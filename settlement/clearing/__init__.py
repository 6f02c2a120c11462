"""What the buckets found, reduced to shares and totals (pure)."""
