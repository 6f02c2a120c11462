"""Who acts in the office: people, and the systems that act by themselves."""
