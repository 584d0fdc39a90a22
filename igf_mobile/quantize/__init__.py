"""What quantization costs, layer by layer, and the recipes that follow from it."""
