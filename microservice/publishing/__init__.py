"""How a version gets its package or its build's end: by an upload, by hand; and what follows then."""
