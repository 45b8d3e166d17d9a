"""What a request for a deployment goes through; `actions.py` is the way in."""
