"""PSAMs that the key service hosts, and copies of them."""
