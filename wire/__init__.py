"""What processes say to one another: names, messages, endpoints, settings and the service loop."""
