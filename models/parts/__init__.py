"""What the families share: data, the judge, metrics, networks."""
