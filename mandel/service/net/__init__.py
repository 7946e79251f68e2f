"""Sockets: clients connect, requests arrive, replies go out."""
