"""How a version gets its package, or the end of its build by hand, and what follows."""
