"""The product beside the bare OpenSSH client on the same work. See README.md."""
