"""`igf verify --arch arm64`: artifacts on the NEON kernels of phones, emulated, against this machine."""
