"""Measures heatproof against its peers, in one run on the machine at hand. Start it with scripts/benchmark; see __main__.py."""
