"""What a provider plugin is made of, whatever it provides."""
