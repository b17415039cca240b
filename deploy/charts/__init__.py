"""What makes and tries the Helm chart `helm/tidewire`."""
