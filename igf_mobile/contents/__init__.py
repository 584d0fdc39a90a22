"""What is in an artifact: its convolutions as the file has them, held to the checkpoint and the calibration set."""
