"""What a model's answers rest on."""
