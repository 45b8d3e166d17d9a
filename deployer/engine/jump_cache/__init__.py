"""Copies of packages on jump hosts: each goes there once, and the hosts behind it fetch it from there."""
