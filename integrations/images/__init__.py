"""Images: references, and the registry that has them."""
