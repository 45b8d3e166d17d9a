"""How a wait ends: `look` looks at a deployment again after whatever could end its wait, and in the sweep, and begins
it; `answers` is what people say. Why it waits: ../holds.

A deployment's row is locked before anything else of its wait is read or written, so that it begins once.
"""
