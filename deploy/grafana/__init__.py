"""The dashboard's description, and what makes Grafana's JSON of it: ``python -m deploy.grafana``."""
