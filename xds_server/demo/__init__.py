"""What `waypost demo` runs beside the control plane: echo applications and a ztunnel stand-in."""
