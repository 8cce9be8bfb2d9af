"""What a definition cannot say of a resource as a whole, and the specification says in prose: rules by resource type."""
