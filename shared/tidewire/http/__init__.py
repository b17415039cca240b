"""What the services' HTTP answers have in common (pure)."""
