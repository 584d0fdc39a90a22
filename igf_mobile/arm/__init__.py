"""`igf verify --arch arm64`: a build's artifacts on the NEON kernels of phones, emulated by qemu, against this machine."""
