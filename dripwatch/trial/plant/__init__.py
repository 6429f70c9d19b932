"""How each hazard is planted: small functions from a bed to entries of a story."""
