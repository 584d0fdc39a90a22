"""Proof on real photographs: our matte beside its peers, by one protocol, with what each costs."""
