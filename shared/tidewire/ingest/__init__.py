"""Reading events that arrive as text: JSON objects and CloudEvents."""
