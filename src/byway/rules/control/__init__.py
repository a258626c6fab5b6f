"""What a rule has to beat."""
