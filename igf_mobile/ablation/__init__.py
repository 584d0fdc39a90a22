"""What each part of the recipe is worth: the same short training with one thing changed, several seeds, one table."""
