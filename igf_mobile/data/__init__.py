"""Training data: packages of pictures -> index -> composites on disk -> batches of crops."""
