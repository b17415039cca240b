"""Tokens that are no longer good before they expire: told in a topic, held by everybody who takes tokens."""
