"""The limits and peers that the gateway is measured beside: one control protocol, one harness."""
