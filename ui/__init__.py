"""What people see: the obl command."""
