"""What a request for a deployment goes through; `deployments.py` is the way in."""
